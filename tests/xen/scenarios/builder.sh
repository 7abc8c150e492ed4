# Frontends that plain writes to the store make, and a guest that shares its
# vTPM with its device model's domain.
. /opt/tests/tpm12.sh
guest_uuid=99999999-0000-4000-8000-000000000001
stub_uuid=99999999-0000-4000-8000-000000000002

start_vtpmd vtpmd --tpm 1.2 --locality "uuid=$guest_uuid:0,1" \
  --locality "uuid=$stub_uuid:0,2"
create_guest g1 -
create_guest stub - "" driver=none
check "attach gives a guest a vTPM" \
  attach "$(xl domid g1)" 0 0 $guest_uuid
has_device g1
tpm g1 $get_manufacturer
equal "$(code_of "$answer")" $success "the stock driver finds it"
tpm g1 "$(extend 10 $digest)"
check "attach does not do it twice" eval \
  '! attach "$(xl domid g1)" 0 0 $guest_uuid'

check "a stub domain gets one too" attach "$(xl domid stub)" 0 0 $stub_uuid
tell stub sh raw-front exec 0 2 "$(pcr_reset 20)" "$(extend 20 $digest)"
like "$answer" "00c40000000a$success?00c40000001e$success$ones_extended_once*" \
  "and may use locality 2"
tell stub sh raw-front exec 0 1 $get_random
equal "$(code_of "$answer")" $bad_locality "but not the guest's locality 1"
tpm g1 "$(pcr_read 20)"
equal "$(data_of "$answer")" $ones_extended_once "the guest sees what it did"

check "attach --detach takes it away" attach --detach "$(xl domid g1)" 0
tell g1 sh "ls /dev/tpm0"
like "$answer" "*exit 1" "the guest's device is gone"
check "no node is left" eval \
  '! xenstore-exists "/local/domain/0/backend/vtpm/$(xl domid g1)/0"'
check "and it can be given again" attach "$(xl domid g1)" 0 0 $guest_uuid
has_device g1
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "with its PCRs"
