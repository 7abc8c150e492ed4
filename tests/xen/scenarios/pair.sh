# A vTPM domain ends with its guest.
. /opt/tests/tpm12.sh
uuid=88888888-0000-4000-8000-000000000001

make_disks vtpm
create_vtpm_domain vtpm vtpmd.physical-presence
create_guest g1 vtpm $uuid
tpm g1 "$(nv_define 32)"
pair --grace 3 --limit $step g1 vtpm &
pair_pid=$!
load g1 1000000 "$(nv_write 32 0000000000000000)"
wait_until $step has_loaded g1 20
check "pair does nothing while the guest lives" eval \
  'xl list vtpm && kill -0 $pair_pid'
xl destroy g1
check "pair ends the vTPM domain after its guest" \
  wait_until $step eval '! xl list vtpm'
wait $pair_pid
equal $? 0 "and returns"
check "the vTPM domain ended in order" console_says vtpm "vtpmd ended with 20"
acknowledged=$(acknowledged_on_console g1)
create_vtpm_domain vtpm vtpmd.physical-presence
create_guest g1 vtpm $uuid
tpm g1 "$(nv_read 32)"
found=$((0x$(sized_data_of "$answer")))
check "$acknowledged acknowledged NV writes, and $found found" \
  [ "$found" -ge "$acknowledged" -a "$acknowledged" -gt 0 ]
