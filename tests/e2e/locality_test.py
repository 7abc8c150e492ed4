#!/usr/bin/env python3
"""Two frontends share one TPM, each with localities of its own.

Domain 1 has locality 0, as by default; domain 2 has 0, 1 and 2. PCRs 20 to 22
belong to localities 1 to 4 (PC Client Implementation Specification 1.21,
table 4; PC Client Platform TPM Profile 1.05, table 6).
"""

import json

import harness
import tpm12
import tpm20
from harness import check, equal

DENY_BUT = ["--locality", "domid=2:0,1,2"]


def outcome(daemon, family, domid, locality, command):
    """Returns the result code of a command through vtpm-front --exec."""
    return family.result(daemon.execute(command, "--domid", domid,
                                        "--locality", locality))


def denied(daemon, domid):
    """Returns how often vtpmd refused a frontend its locality. A frontend is
    counted as long as it is connected."""
    return sum(f["denied"] for f in daemon.stats()["frontends"]
               if f["domid"] == domid)


def policy(lab, tpm, family, error, harmless):
    daemon = lab.vtpmd(tpm, options=DENY_BUT)
    if tpm == "1.2":
        daemon.execute(tpm12.STARTUP_CLEAR)
    for domid, allowed in ((1, {0}), (2, {0, 1, 2})):
        for locality in (0, 1, 2, 3, 4, 5, 7, 9, 255):
            wanted = 0 if locality in allowed else error
            equal(outcome(daemon, family, domid, locality, harmless), wanted,
                  f"domain {domid} at locality {locality} is "
                  f"{'served' if wanted == 0 else 'denied'}")
    guest = daemon.ring(1)
    guest.transact(harmless, locality=2)
    guest.transact(harmless, locality=0)
    equal(denied(daemon, 1), 1, "vtpmctl stats counts a denial")


def policy_on_tpm20(lab):
    policy(lab, "2.0", tpm20, tpm20.RC_LOCALITY, tpm20.get_random())


def policy_on_tpm12(lab):
    policy(lab, "1.2", tpm12, tpm12.BAD_LOCALITY, tpm12.get_random())


def pcr_rules(daemon, family, extend, bad_extend, bad_reset):
    """Goes through who may extend and reset what."""
    for pcr, locality, wanted in (
            (20, 0, bad_extend), (20, 1, 0), (20, 2, 0),
            (21, 0, bad_extend), (21, 1, bad_extend), (21, 2, 0),
            (22, 0, bad_extend), (22, 1, bad_extend), (22, 2, 0)):
        equal(outcome(daemon, family, 2, locality, extend(pcr)), wanted,
              f"PCR {pcr} {'is' if wanted == 0 else 'is not'} extended at "
              f"locality {locality}")
    for pcr in (20, 21, 22):
        for domid, locality, wanted in ((1, 0, bad_reset), (2, 0, bad_reset),
                                        (2, 1, bad_reset), (2, 2, 0)):
            equal(outcome(daemon, family, domid, locality,
                          family.pcr_reset(pcr)), wanted,
                  f"PCR {pcr} {'is' if wanted == 0 else 'is not'} reset by "
                  f"domain {domid} at locality {locality}")


def pcrs_on_tpm20(lab):
    daemon = lab.vtpmd("2.0", options=DENY_BUT)
    pcr_rules(daemon, tpm20,
              lambda pcr: tpm20.pcr_extend(pcr, b"\xab" * 32),
              tpm20.RC_LOCALITY, tpm20.RC_LOCALITY)
    # What one frontend did at locality 2 the other sees at locality 0.
    read = daemon.execute(tpm20.pcr_read(20), "--domid", "1")
    equal(tpm20.pcr_in(read), bytes(32), "a reset at locality 2 makes zeros")
    outcome(daemon, tpm20, 2, 2, tpm20.pcr_extend(20, b"\xab" * 32))
    read = daemon.execute(tpm20.pcr_read(20), "--domid", "1")
    check(tpm20.pcr_in(read) != bytes(32),
          "the other frontend sees what was extended")


def pcrs_on_tpm12(lab):
    daemon = lab.vtpmd("1.2", options=DENY_BUT)
    daemon.execute(tpm12.STARTUP_CLEAR)
    pcr_rules(daemon, tpm12, lambda pcr: tpm12.extend(pcr, b"\xab" * 20),
              tpm12.BAD_LOCALITY, tpm12.NOTLOCAL)


def locality_is_not_sticky(lab):
    daemon = lab.vtpmd("2.0", options=DENY_BUT)
    first, second = daemon.ring(1), daemon.ring(2)
    extend = tpm20.pcr_extend(21, b"\xab" * 32)
    codes = []
    for _ in range(50):
        codes.append(tpm20.result(second.transact(extend, locality=2)))
        codes.append(tpm20.result(first.transact(extend, locality=0)))
        codes.append(tpm20.result(second.transact(extend, locality=0)))
    equal(codes, [0, tpm20.RC_LOCALITY, tpm20.RC_LOCALITY] * 50,
          "no request gets the locality of one before it")


def administrator(lab, tpm, error, family, probe):
    """Who has locality 8 reads statistics over a ring; nobody else does."""
    daemon = lab.vtpmd(tpm, options=["--locality", "domid=9:0,8"])

    def over_ring(domid):
        return lab.run(lab.program("vtpmctl"), "--connect", daemon.socket,
                       "--domid", domid, "stats", "--json")

    done = over_ring(9)
    equal(done.returncode, 0, "vtpmctl --connect stats works at locality 8")
    report = json.loads(done.stdout or "{}")
    names = {actor["name"] for actor in report.get("actors", [])}
    check({"tpm", "response", "persistence", "ring 9/0"} <= names,
          "and shows every actor, the own ring too", names)
    equal(report.get("tpm", {}).get("version"), tpm, "and the TPM's version")
    done = over_ring(1)
    equal((done.returncode, done.stderr.count("\n")), (1, 1),
          "vtpmctl --connect is refused for others, in one line")
    for domid, locality in ((1, 0), (9, 0)):
        equal(outcome(daemon, family, domid, locality, probe), error,
              f"domain {domid} asking at locality {locality} is refused")
    if tpm == "1.2":
        daemon.execute(tpm12.STARTUP_CLEAR)
    harmless = family.get_random()
    wrong = tpm12.BAD_LOCALITY if tpm == "1.2" else tpm20.RC_LOCALITY
    equal(outcome(daemon, family, 9, 8, harmless), wrong,
          "any other command at locality 8 is denied")
    equal(outcome(daemon, family, 9, 0, harmless), 0,
          "and is served at locality 0")


def administrator_on_tpm20(lab):
    text = b'{"request":"status"}'
    probe = tpm20.command(0x20000001, parameters=bytes(4)
                          + len(text).to_bytes(4, "big") + text)
    administrator(lab, "2.0", tpm20.RC_LOCALITY, tpm20, probe)


def administrator_on_tpm12(lab):
    text = b'{"request":"status"}'
    # TPM_SET_VENDOR is capability area 7 (TPM Main Part 2, 21.2).
    probe = tpm12.command(0x3F, (7).to_bytes(4, "big") + (4).to_bytes(4, "big")
                          + bytes(4) + len(text).to_bytes(4, "big") + text)
    administrator(lab, "1.2", tpm12.BAD_PARAMETER, tpm12, probe)


if __name__ == "__main__":
    harness.main(policy_on_tpm20, policy_on_tpm12, pcrs_on_tpm20,
                 pcrs_on_tpm12, locality_is_not_sticky, administrator_on_tpm20,
                 administrator_on_tpm12)
