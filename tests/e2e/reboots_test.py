#!/usr/bin/env python3
"""Guests reboot as often as they like without locking themselves out.

A 2.0 TPM takes a reset without TPM2_Shutdown for an attempt to dodge its
dictionary-attack protection, and counts it like a wrong password: three, and
the guest is locked out. So vtpmd sends the Shutdown before a planned reset.
"""

import harness
import tpm20
from harness import equal

INDEX = 0x1500021
REBOOTS = 10


def attempt(guest, password):
    return tpm20.result(tpm20.persistent(
        guest.transact, tpm20.nv_read(INDEX, 4, password)))


def failures_counted(guest):
    return tpm20.property_in(guest.transact(
        tpm20.get_property(tpm20.PT_LOCKOUT_COUNTER)))


def reboot_often(lab, reboot):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    attributes = tpm20.NV_AUTHWRITE | tpm20.NV_AUTHREAD
    response = guest.transact(tpm20.nv_define(INDEX, attributes, 4, b"right"))
    equal(tpm20.result(response), 0, "an object that is protected is made")
    tpm20.persistent(guest.transact, tpm20.nv_write(INDEX, b"kept", b"right"))
    equal(attempt(guest, b"wrong"), tpm20.RC_AUTH_FAIL_1,
          "a wrong password is refused")
    equal(failures_counted(guest), 1, "and counted")
    codes = []
    for _ in range(REBOOTS):
        codes.append(attempt(guest, b"right"))
        reboot(daemon, guest)
    equal(codes, [0] * REBOOTS, f"{REBOOTS} reboots, the password is good "
          "before each")
    equal(failures_counted(guest), 1, "no reboot counts as a failure")
    equal(attempt(guest, b"right"), 0, "the password is good afterwards")


def platform_resets(lab):
    reboot_often(lab, lambda daemon, guest: daemon.ctl("reset"))


def orderly_restarts(lab):
    def restart(daemon, guest):
        daemon.stop()
        daemon.start()
        guest.reconnect()

    reboot_often(lab, restart)


def pcrs_start_over(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    guest.transact(tpm20.pcr_extend(10, b"\xab" * 32))
    before = tpm20.pcr_in(guest.transact(tpm20.pcr_read(10)))
    harness.check(before != bytes(32), "PCR 10 is extended")
    daemon.ctl("reset")
    equal(tpm20.pcr_in(guest.transact(tpm20.pcr_read(10))), bytes(32),
          "vtpmctl reset resets it")
    equal(daemon.stats()["tpm"]["resets"], 1, "and is counted")


if __name__ == "__main__":
    harness.main(platform_resets, orderly_restarts, pcrs_start_over)
