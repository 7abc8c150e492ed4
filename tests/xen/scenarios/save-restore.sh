# A guest is saved and restored.
. /opt/tests/tpm12.sh
uuid=bbbbbbbb-0000-4000-8000-000000000001

start_vtpmd vtpmd --tpm 1.2
create_guest g1 0 $uuid
tpm g1 "$(extend 10 $digest)"
check "the guest is saved" xl save g1 /run/g1.save
check "vtpmd is told of the restore" ask vtpmd keep-next
check "the guest is restored" xl restore /run/g1.save
# The driver lets go of its device and takes it again while the guest resumes;
# Linux calls it /dev/tpm1 then.
has_tpm() {
  tpm g1 $get_random
  [ "$(code_of "$answer")" = $success ]
}
check "its driver has the TPM again" wait_until $step has_tpm
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "that keeps the PCRs"
rm -f /run/g1.save
