# vtpmd in dom0, one guest with the stock driver.
. /opt/tests/tpm12.sh

start_vtpmd vtpmd --tpm 1.2
create_guest g1 0 11111111-0000-4000-8000-000000000001

tell g1 sh cat /sys/class/tpm/tpm0/tpm_version_major
like "$answer" "1*exit 0" "the stock driver has a TPM 1.2"
tpm g1 $get_manufacturer
equal "$(code_of "$answer")" $success "its capabilities are read"
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $zeros "PCR 10 is zeros after a start"
tpm g1 "$(extend 10 $digest)"
equal "$(data_of "$answer")" $extended_once "PCR 10 is extended"
tpm g1 $get_random
equal "$(code_of "$answer") ${#answer}" "$success 60" "16 random octets come"
first=$answer
tpm g1 $get_random
check "and 16 others" [ "$answer" != "$first" ]

tell g1 sh cat /sys/class/tpm/tpm0/caps
like "$answer" "*Manufacturer*TCG version: 1.2*exit 0" \
  "sysfs has the TPM's caps"
tell g1 sh "grep PCR-10 /sys/class/tpm/tpm0/pcrs | tr -d ' ' | tr A-F a-f"
like "$answer" "*$extended_once*" "sysfs has the PCRs"

# While it is bound the kernel draws random numbers from it, which keeps it.
unload="echo vtpm-0 >/sys/bus/xen/drivers/vtpm/unbind && rmmod xen-tpmfront"
tell g1 sh "$unload && insmod /lib/modules/xen-tpmfront.ko"
like "$answer" "*exit 0" "the driver is unloaded and loaded again"
check "and has its device" has_device g1
tpm g1 "$(pcr_read 10)"
equal "$(data_of "$answer")" $extended_once "that keeps the PCRs"

# As a kernel that another one takes the place of (kexec): it has not closed.
tell g1 sh "$unload && raw-front crash 0 0 $get_random"
like "$answer" "*$success*exit 0" "a frontend goes without closing"
tell g1 sh raw-front exec 0 0 "$(pcr_read 10)"
equal "$(data_of "$answer" | head -n 1)" $extended_once \
  "and the next one, with another ring, finds the PCRs"

stop_vtpmd
equal "$code" 0 "vtpmd ends in order on SIGTERM"
