# A vTPM domain is shut down, and destroyed, under load.
. /opt/tests/tpm20.sh
version=2.0
index=0x1500020
uuid=77777777-0000-4000-8000-000000000001

write_under_load() {
  load g1 1000000 "$(nv_write $index xxxxxxxxxxxxxxxx)"
  wait_until $step has_loaded g1 20 || give_up "the load runs"
}

# A guest that was told of a write finds it, or the one after it, that it was
# not told of any more.
compare() { # HOW
  acknowledged=$(acknowledged_on_console g1)
  create_vtpm_domain vtpm
  attach 0 "$(xl domid vtpm)" 8 77777777-0000-4000-8000-000000000002
  found=$((0x0$(nv_data_of "$(raw-front exec 8 0 "$(nv_read $index)")")))
  attach --detach 0 8
  check "$1: $acknowledged acknowledged NV writes, and $found found" \
    [ "$acknowledged" -gt 0 -a "$found" -ge "$acknowledged" \
    -a "$found" -le $((acknowledged + 1)) ]
}

make_disks vtpm
create_vtpm_domain vtpm
create_guest g1 vtpm $uuid
tpm g1 "$(nv_define $index)"
equal "$(code_of "$answer")" $success "a guest defines an NV area"

order=/local/domain/$(xl domid vtpm)/control/shutdown
is_acknowledged() {
  [ -z "$(xenstore-read "$order")" ]
}
xenstore-write "$order" suspend
check "an order to suspend is acknowledged" wait_until $step is_acknowledged
check "and refused" console_says vtpm 'orders "suspend", which this domain does'
tpm g1 $get_random
equal "$(code_of "$answer")" $success "and the domain goes on"

write_under_load
xl shutdown vtpm
check "xl shutdown: the domain ends" wait_until $step domain_is_gone vtpm
check "xl shutdown: vtpmd ends in order" console_says vtpm "vtpmd ended with 20"
compare "xl shutdown"

xl destroy g1
create_guest g1 vtpm $uuid
write_under_load
xl destroy vtpm
compare "xl destroy"
