# A vTPM domain's actors, seen from dom0 over a ring at the administrator's
# locality; frontends of the product's own; and a domain that ends by itself.
. /opt/tests/tpm12.sh
uuid=cccccccc-0000-4000-8000-00000000000

make_disks vtpm
create_vtpm_domain vtpm locality=domid=0:8 vtpmd.exit-when-unused=3
domid=$(xl domid vtpm)
guest_image=large
guest_memory=128
create_guest g1 vtpm ${uuid}1 driver=none
tell g1 sh vtpm-front --xen --exec $startup_clear
like "$answer" "*00c40000000a$success*exit 0" \
  "a guest without a driver has vtpm-front"
tell g1 sh vtpm-front --xen --exec "$(extend 10 $digest)"
like "$answer" "*$success$extended_once*exit 0" "and uses the TPM through it"

check "dom0 gets a frontend" attach 0 "$domid" 8 ${uuid}2
# TPM_SetCapability(TPM_SET_VENDOR) with {"request":"stats"} (protocol/admin.hpp)
text=7b2272657175657374223a227374617473227d
ask_stats=00c10000002d0000003f00000007000000040000000000000013$text
answer=$(raw-front exec 8 8 $ask_stats)
equal "$(code_of "$answer")" $success "and asks for statistics at locality 8"
stats=$(sized_data_of "$answer" | cut -c9- | xxd -r -p)
like "$stats" '*"actors":*"frontends":*' "which have the actors and frontends"
answer=$(raw-front exec 8 0 $get_random)
equal "$(code_of "$answer")" $success "it is a frontend like others otherwise"

tell g1 sh raw-front exec 0 8 $ask_stats
equal "$(code_of "$answer" | head -n 1)" $bad_locality \
  "a guest that asks is refused"
check "dom0's frontend is taken away" attach --detach 0 8

check "vtpmctl makes a frontend of its own and asks" eval \
  'stats=$(vtpmctl --ring "$domid/9" stats)'
echo "$stats"
like "$stats" '*persistence*ring 0/9*MALFORMED*' "and shows the statistics"
check "of which nothing is left" eval \
  '! xenstore-exists "/local/domain/$domid/backend/vtpm/0/9"'

xl destroy g1
check "without frontends the domain ends, as it was told to" \
  wait_until $step domain_is_gone vtpm
check "and in order" console_says vtpm "vtpmd ended with 0"
