# A guest that does what no driver does, and a good one beside it.
. /opt/tests/tpm12.sh

start_vtpmd vtpmd --tpm 1.2
create_guest good 0 44444444-0000-4000-8000-000000000001
create_guest bad 0 44444444-0000-4000-8000-000000000002 driver=none
load good 1000000 "$(extend 10 $digest)"
wait_until $step has_loaded good 1
for attack in lengths extra-pages flips storm states grants leaps; do
  tell good loaded
  before=${answer%% *}
  tell bad sh raw-front $attack
  like "$answer" "attack survived?exit 0" \
    "$attack: answered or ignored, and the guest is served again"
  check "$attack: the good guest goes on meanwhile" \
    wait_until $step has_loaded good $((before + 1))
done
check "vtpmd runs as before" kill -0 "$vtpmd_pid"
bad=$(xl domid bad)
ask vtpmd frontends
set -- $(ask vtpmd frontends | awk "\$1 == $bad { print \$8, \$10, \$11 }")
check "it is counted: $1 requests malformed, $2 offers refused, $3 cancels" \
  [ "$1" -gt 15 -a "$2" -gt 3 -a "$3" -gt 0 ]
check "the log says why" grep -q "refused, it does not speak protocol v2" \
  $work/vtpmd.log
malformed=$1
xl destroy bad
check "the good guest outlives the bad one" \
  wait_until $step has_loaded good $((before + 2))
check "what the bad one did still counts" eval \
  '[ "$(ask vtpmd stats | awk "/^  malformed/ { print \$2 }")" -ge $malformed ]'
stop_vtpmd
equal "$code" 0 "vtpmd ends in order"
