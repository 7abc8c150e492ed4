# A vTPM domain through the lives of its guest: detach, attach, destruction,
# creation, reboot.
. /opt/tests/tpm12.sh
uuid=66666666-0000-4000-8000-000000000001

make_disks vtpm
create_vtpm_domain vtpm
create_guest g1 vtpm $uuid
tpm g1 "$(extend 10 $digest)"
equal "$(data_of "$answer")" $extended_once "a guest extends PCR 10"

started=$(date +%s)
xl vtpm-detach g1 0
equal $? 0 "xl vtpm-detach returns 0 ($(($(date +%s) - started)) s)"
check "the backend's node is gone" eval \
  '! xenstore-exists "/local/domain/$(xl domid vtpm)/backend/vtpm/$(
    xl domid g1)/0"'
xl vtpm-attach g1 backend=vtpm uuid=$uuid
equal $? 0 "xl vtpm-attach returns 0"
tell g1 sh "for i in 1 2 3 4 5 6; do [ -c /dev/tpm0 ] && break; sleep 1; done"
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "that keeps the PCRs"

before=$(xl domid g1)
xl reboot g1
wait_until $step eval '[ "$(xl domid g1)" != "$before" ]'
check "the guest reboots" wait_until $step agent_is_ready g1
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "a reboot resets the PCRs"
tpm g1 "$(extend 10 $digest)"

xl destroy g1
create_guest g1 vtpm $uuid
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "so does a destroyed and re-created guest"
tpm g1 "$(extend 10 $digest)"
create_guest g2 vtpm 66666666-0000-4000-8000-000000000002
tpm g2 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "a second guest's start does not"
