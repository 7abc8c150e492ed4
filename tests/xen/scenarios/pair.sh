# A vTPM domain ends with its guest.
. /opt/tests/tpm20.sh
version=2.0
index=0x1500020
uuid=88888888-0000-4000-8000-000000000001

make_disks vtpm
create_vtpm_domain vtpm
create_guest g1 vtpm $uuid
tpm g1 "$(nv_define $index)"
pair --grace 3 --limit $step g1 vtpm &
pair_pid=$!
load g1 1000000 "$(nv_write $index xxxxxxxxxxxxxxxx)"
wait_until $step has_loaded g1 20
check "pair does nothing while the guest lives" eval \
  'xl list vtpm && kill -0 $pair_pid'
xl destroy g1
check "pair ends the vTPM domain after its guest" \
  wait_until $step domain_is_gone vtpm
wait $pair_pid
equal $? 0 "and returns"
check "the vTPM domain ended in order" console_says vtpm "vtpmd ended with 20"
acknowledged=$(acknowledged_on_console g1)
create_vtpm_domain vtpm
attach 0 "$(xl domid vtpm)" 8 88888888-0000-4000-8000-000000000002
found=$((0x0$(nv_data_of "$(raw-front exec 8 0 "$(nv_read $index)")")))
attach --detach 0 8
# Of the last one the guest was perhaps not told any more.
check "$acknowledged acknowledged NV writes, and $found found" \
  [ "$acknowledged" -gt 0 -a "$found" -ge "$acknowledged" \
  -a "$found" -le $((acknowledged + 1)) ]
