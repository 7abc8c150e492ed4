# A PVH guest with the stock driver.
. /opt/tests/tpm12.sh

start_vtpmd vtpmd --tpm 1.2
guest_type=pvh
create_guest g1 0 dddddddd-0000-4000-8000-000000000001
tpm g1 $get_manufacturer
equal "$(code_of "$answer")" $success "a PVH guest reads capabilities"
tpm g1 "$(extend 10 $digest)"
equal "$(data_of "$answer")" $extended_once "and extends a PCR"
tpm g1 $get_random
equal "$(code_of "$answer")" $success "and gets random octets"
