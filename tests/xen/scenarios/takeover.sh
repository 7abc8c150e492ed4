# vtpmd in dom0 is killed under a live guest, and another takes over.
. /opt/tests/tpm12.sh

start_vtpmd vtpmd --tpm 1.2 --physical-presence
create_guest g1 0 33333333-0000-4000-8000-000000000001
tpm g1 "$(nv_define 32)"
equal "$(code_of "$answer")" $success "a guest defines an NV area"
tpm g1 "$(extend 10 $digest)"
for round in 1 2 3; do
  kill -9 "$vtpmd_pid"
  wait "$vtpmd_pid"
  send g1 tpm "$(nv_write 32 000000000000000$round)"
  sleep 1
  start_vtpmd vtpmd --tpm 1.2 --physical-presence
  receive g1
  equal "$(code_of "$answer")" $success \
    "kill $round: the next vtpmd answers the command that waited"
  tpm g1 "$(nv_read 32)"
  equal "$(sized_data_of "$answer")" 000000000000000$round \
    "kill $round: and it was done"
done
tell g1 sh "ls /dev/tpm*"
like "$answer" "/dev/tpm0*exit 0" "the guest's device never went away"
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "PCRs are as they were"
