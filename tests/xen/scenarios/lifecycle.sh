# A vTPM domain through the lives of its guest: detach, attach, destruction,
# creation, reboot.
. /opt/tests/tpm12.sh
uuid=66666666-0000-4000-8000-000000000001

make_disks vtpm
create_vtpm_domain vtpm
create_guest g1 vtpm $uuid
tpm g1 "$(extend 10 $digest)"
equal "$(data_of "$answer")" $extended_once "a guest extends PCR 10"

seconds_of xl vtpm-list g1
echo "# xl itself takes $seconds s here"
seconds_of xl vtpm-detach g1 0
equal $code 0 "xl vtpm-detach returns 0, after $seconds s"
check "the backend's node is gone" eval \
  '! xenstore-exists "/local/domain/$(xl domid vtpm)/backend/vtpm/$(
    xl domid g1)/0"'
check "xl vtpm-attach gives it again" give_again g1 vtpm $uuid
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "that keeps the PCRs"

before=$(xl domid g1)
xl reboot g1
has_another_domid() {
  [ "$(xl domid g1)" != "$before" ]
}
wait_until $step has_another_domid
check "the guest reboots" wait_until $step agent_is_ready g1
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "a reboot resets the PCRs"
tpm g1 "$(extend 10 $digest)"

xl destroy g1
create_guest g1 vtpm $uuid
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "so does a destroyed and re-created guest"
tpm g1 "$(extend 10 $digest)"

domid=$(xl domid vtpm)
check "another frontend comes" \
  attach 0 "$domid" 8 66666666-0000-4000-8000-000000000002
answer=$(raw-front exec 8 0 "$(pcr_read 10)")
equal "$(data_of "$answer")" $extended_once "which resets nothing"
check "and goes" attach --detach 0 8
