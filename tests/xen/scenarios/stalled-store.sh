# The store's daemon stands still for five seconds under load.
. /opt/tests/tpm12.sh

start_vtpmd vtpmd --tpm 1.2
create_guest g1 0 aaaaaaaa-0000-4000-8000-000000000001
load g1 1000000 "$(extend 10 $digest)"
wait_until $step has_loaded g1 10
store_pid=$(cat /run/xen/xenstored.pid)
kill -STOP "$store_pid"
before=$(acknowledged_on_console g1)
sleep 5
after=$(acknowledged_on_console g1)
kill -CONT "$store_pid"
check "rings go on without it: $((after - before)) commands in five seconds" \
  [ "$after" -gt "$before" ]
check "and with it" wait_until $step has_loaded g1 $((after + 1))
