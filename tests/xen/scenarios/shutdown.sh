# A vTPM domain is shut down, and destroyed, under load.
. /opt/tests/tpm12.sh
uuid=77777777-0000-4000-8000-000000000001

# A guest that was told of a write finds it, or a later one, afterwards.
compare() { # HOW
  acknowledged=$(acknowledged_on_console g1)
  xl destroy g1
  create_vtpm_domain vtpm vtpmd.physical-presence
  create_guest g1 vtpm $uuid
  tpm g1 "$(nv_read 32)"
  found=$((0x$(sized_data_of "$answer")))
  check "$1: $acknowledged acknowledged NV writes, and $found found" \
    [ "$found" -ge "$acknowledged" -a "$acknowledged" -gt 0 ]
}

make_disks vtpm
create_vtpm_domain vtpm vtpmd.physical-presence
create_guest g1 vtpm $uuid
tpm g1 "$(nv_define 32)"
load g1 1000000 "$(nv_write 32 0000000000000000)"
wait_until $step has_loaded g1 20
xl shutdown vtpm
check "xl shutdown: the domain ends" wait_until $step eval '! xl list vtpm'
check "xl shutdown: vtpmd ends in order" console_says vtpm "vtpmd ended with 20"
compare "xl shutdown"

load g1 1000000 "$(nv_write 32 0000000000000000)"
wait_until $step has_loaded g1 20
xl destroy vtpm
compare "xl destroy"

xl destroy g1
for i in 1 2 3 4 5 6; do sleep 0.2; done
xl save vtpm /run/vtpm.save
check "a suspend is refused" [ $? != 0 ]
check "and the domain goes on" xl list vtpm
