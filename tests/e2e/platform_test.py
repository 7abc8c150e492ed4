#!/usr/bin/env python3
"""The TPM is reset when its guest has booted, and only then.

A new domid is a boot, unless the operator says that it is a restore.
"""

import harness
import tpm20
from harness import check, equal

OWN = "00000000-0000-0000-0000-0000000000aa"
OTHER = "00000000-0000-0000-0000-0000000000bb"
EXTENDED = b"\xab" * 32


def extend(guest):
    response = guest.transact(tpm20.pcr_extend(10, EXTENDED))
    harness.require(tpm20.result(response) == 0, "PCR 10 is extended")


def is_clear(guest):
    return tpm20.pcr_in(guest.transact(tpm20.pcr_read(10))) == bytes(32)


def a_boot_resets_the_tpm(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring(5, uuid=OWN)
    extend(guest)
    guest.reconnect()
    check(not is_clear(guest), "the same domid keeps the PCRs")
    guest.close()
    guest = daemon.ring(6, uuid=OWN)
    check(is_clear(guest), "a new domid finds them reset")
    equal(daemon.stats()["platform"],
          {"primary": f"uuid={OWN}", "domid": 6, "keep_next": False,
           "resets": 1}, "the operator sees it")
    check("6/0: the primary has booted, it was domain 5: TPM reset"
          in daemon.process.log(), "and reads it in the log")
    extend(guest)
    daemon.ring(9, uuid=OTHER)
    guest.close()
    guest = daemon.ring(7, uuid=OWN)
    check(not is_clear(guest), "with a second uuid nobody is the primary")
    equal(daemon.stats()["platform"]["primary"], "", "as the operator sees")


def a_rule_names_the_primary(lab):
    daemon = lab.vtpmd(options=["--primary", f"uuid={OWN}"])
    guest = daemon.ring(5, uuid=OWN)
    peer = daemon.ring(9, uuid=OTHER)
    extend(guest)
    peer.close()
    peer = daemon.ring(10, uuid=OTHER)
    check(not is_clear(peer), "a peer's new domid keeps the PCRs")
    equal([(one["domid"], one["primary"], one["state"])
           for one in daemon.stats()["frontends"]],
          [(5, True, "connected"), (10, False, "connected")],
          "the operator sees which frontend is the primary")
    guest.close()
    daemon.ring(6, uuid=OWN)
    check(is_clear(peer), "the primary's resets them for all")


def a_restore_is_announced(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring(5, uuid=OWN)
    extend(guest)
    daemon.ctl("keep-next")
    check(daemon.stats()["platform"]["keep_next"], "the announcement stands")
    guest.close()
    guest = daemon.ring(6, uuid=OWN)
    check(not is_clear(guest), "the PCRs are kept")
    check(not daemon.stats()["platform"]["keep_next"], "the once")
    guest.close()
    check(is_clear(daemon.ring(7, uuid=OWN)), "and no second time")


def nobody_is_left(lab):
    daemon = lab.vtpmd(options=["--exit-when-unused", "1"])
    guest = daemon.ring()
    extend(guest)
    guest.close()
    equal(daemon.process.wait(harness.STEP_S), 0,
          "unused for a second, vtpmd ends with 0")
    check("drained" in daemon.process.log(), "and has drained")


if __name__ == "__main__":
    harness.main(a_boot_resets_the_tpm, a_rule_names_the_primary,
                 a_restore_is_announced, nobody_is_left)
