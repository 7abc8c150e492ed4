# Two, then eight guests on one TPM, at different localities.
. /opt/tests/tpm12.sh

uuid() { # NUMBER
  printf '22222222-0000-4000-8000-%012d' "$1"
}

start_vtpmd vtpmd --tpm 1.2 --locality "uuid=$(uuid 1):0" \
  --locality "uuid=$(uuid 2):0,2"
create_guest g1 0 "$(uuid 1)" driver=none
create_guest g2 0 "$(uuid 2)" driver=none
tell g1 sh raw-front exec 0 0 $startup_clear "$(pcr_read 20)"
like "$answer" "*$success*exit 0" "a guest starts the TPM up"
tell g1 sh raw-front exec 0 2 "$(extend 20 $digest)"
equal "$(code_of "$answer")" $bad_locality "locality 2 is denied to one guest"
tell g2 sh raw-front exec 0 2 "$(pcr_reset 20)" "$(extend 20 $digest)"
like "$answer" "00c40000000a$success?00c40000001e$success$ones_extended_once*" \
  "and allowed to the other"
tell g1 sh raw-front exec 0 0 "$(pcr_read 20)"
equal "$(data_of "$answer" | head -n 1)" $ones_extended_once \
  "the first one sees it"
xl destroy g1
xl destroy g2

for i in 1 2 3 4 5 6 7 8; do
  boot_guest g$i 0 "$(uuid $i)"
done
for i in 1 2 3 4 5 6 7 8; do
  check "guest $i of eight boots" wait_until $step agent_is_ready g$i
done
for i in 1 2 3 4 5 6 7 8; do
  send g$i load 100 "$(extend $((i + 7)) $digest)"
done
for i in 1 2 3 4 5 6 7 8; do
  wait_until $step has_loaded g$i 100
  tell g$i loaded
  equal "$answer" "100 done" "guest $i of eight extends its PCR 100 times"
done
