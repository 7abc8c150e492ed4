# The TPM in a domain of its own, on a disk of its own.
. /opt/tests/tpm12.sh
uuid=11111111-0000-4000-8000-000000000001

make_blank_disks vtpm
create_vtpm_domain vtpm vtpmd.physical-presence hello=1
check "on blank disks the domain makes a TPM" \
  console_says vtpm "making a TPM: 1.2"
check "an option that it does not know is logged" \
  console_says vtpm "hello=1: not an option"
guest_image=large
guest_memory=128
create_guest g1 vtpm $uuid
tpm g1 $get_manufacturer
equal "$(code_of "$answer")" $success "its guest reads capabilities"
tpm g1 "$(extend 10 $digest)"
equal "$(data_of "$answer")" $extended_once "and extends a PCR"
tpm g1 $get_random
equal "$(code_of "$answer")" $success "and gets random octets"
tpm g1 "$(nv_define 32)"
equal "$(code_of "$answer")" $success "and defines an NV area"
tpm g1 "$(nv_write 32 0123456789abcdef)"
equal "$(code_of "$answer")" $success "and writes into it"
tell g1 sh vtpm_xen_owner
like "$answer" "owned?exit 0" "and takes ownership"

xl destroy vtpm
xl destroy g1
create_vtpm_domain vtpm vtpmd.physical-presence
check "on its disks the domain makes no other TPM" \
  eval '! console_says vtpm "making a TPM"'
guest_image=guest
guest_memory=96
create_guest g1 vtpm $uuid
tpm g1 "$(nv_read 32)"
equal "$(sized_data_of "$answer")" 0123456789abcdef \
  "what was in NV outlives the domain's destruction"
tpm g1 $get_owner
equal "$(sized_data_of "$answer")" 01 "so does its owner"
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "PCRs do not"

# The key alone opens it.
xl destroy g1
xl destroy vtpm
dd if=/dev/urandom of="$key_disk" bs=32 count=1 conv=fsync 2>/dev/null
name=vtpm
xl create /run/vtpm.cfg
check "another key opens nothing" \
  wait_until $step console_says vtpm "vtpmd ended with 13"
