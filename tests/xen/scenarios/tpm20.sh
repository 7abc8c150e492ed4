# A TPM 2.0 behind the stock driver, which takes it for a 1.2.
. /opt/tests/tpm20.sh

version=2.0
start_vtpmd vtpmd --tpm 2.0
create_guest g1 0 55555555-0000-4000-8000-000000000001
tell g1 sh "ls /dev/tpm*"
like "$answer" "*/dev/tpm0*exit 0" "the stock driver loads"
tpm g1 $get_random
equal "$(code_of "$answer") ${#answer}" "$success 56" "16 random octets come"
tpm g1 "$(extend 16 "$digest")"
equal "$(code_of "$answer")" $success "a PCR is extended"
tpm g1 "$(pcr_read 16)"
equal "$(last_of "$answer" 64)" "$extended_once" "and read"
tpm g1 "$(nv_define 0x1500020)"
equal "$(code_of "$answer")" $success "an NV index is defined"
tpm g1 "$(nv_write 0x1500020 0123456789abcdef)"
equal "$(code_of "$answer")" $success "and written"

kill -9 "$vtpmd_pid"
wait "$vtpmd_pid"
start_vtpmd vtpmd
tpm g1 "$(nv_read 0x1500020)"
like "$answer" "*00080123456789abcdef*" "and outlives a kill of vtpmd"
# TPM_GetCapability of 1.2, which Linux sends: TPM_RC_BAD_TAG in 1.2's form.
tpm g1 00c10000001600000065000000050000000400000103
equal "$answer" 00c40000000a0000001e "a 1.2 command is told that it is one"
