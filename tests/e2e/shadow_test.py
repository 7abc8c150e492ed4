#!/usr/bin/env python3
"""What a reset loses outlives vtpmd; no command has its effect twice."""

import hashlib
import os
import pathlib
import random
import signal
import threading
import time

import harness
import ring
import tpm12
import tpm20
from harness import check, equal, require

# How often vtpmd is killed under load, and over what may be in the page.
KILLS = 12

PCR = 16
DIGEST = hashlib.sha256(b"measurement").digest()


def chain(count):
    """The PCR after `count` identical extends."""
    value = bytes(32)
    for _ in range(count):
        value = hashlib.sha256(value + DIGEST).digest()
    return value


def survive(guest, packet):
    """Submits a command once and waits for its answer, over any number of
    ends of vtpmd."""
    if not guest.submit(0, packet):
        guest.reconnect()
    while guest.busy():
        try:
            guest.wait()
        except (ring.Gone, OSError):
            guest.reconnect()
    return guest.response()


def extends_under(lab, end):
    """Extends one PCR again and again while `end` ends vtpmd at random
    moments; no response is lost, and the chain is exact."""
    daemon = lab.vtpmd()
    guest = daemon.ring()
    stop = threading.Event()
    answers = []

    def load():
        while not stop.is_set():
            answers.append(tpm20.result(survive(
                guest, tpm20.pcr_extend(PCR, DIGEST))))

    worker = threading.Thread(target=load)
    worker.start()
    chance = random.Random(os.environ.get("VTPM_SEED", "shadow"))
    pauses = []
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.05))
        before = time.monotonic()
        end(daemon)
        daemon.start()
        pauses.append(time.monotonic() - before)
    stop.set()
    worker.join(harness.STEP_S)
    require(not worker.is_alive(), "the guest came through")
    equal(set(answers), {0}, f"{len(answers)} extends succeeded")
    value = tpm20.pcr_in(survive(guest, tpm20.pcr_read(PCR)))
    check(value == chain(len(answers)),
          f"each of them once, over {KILLS} ends of vtpmd")
    return sorted(pauses)[len(pauses) // 2]


def extends_under_kill(lab):
    extends_under(lab, harness.Vtpmd.kill)


def extends_under_restart(lab):
    """An upgrade in place."""
    def stop(daemon):
        code = daemon.stop()
        if code != 0:
            check(False, "vtpmd ends in order", code)

    pause = extends_under(lab, stop)
    print(f"# an upgrade pauses guests for {1000 * pause:.0f} ms (median)")


def everything_volatile_on_tpm20(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    key = tpm20.handle_in(guest.transact(tpm20.create_primary_ecc()))
    guest.transact(tpm20.pcr_extend(PCR, DIGEST))
    session = tpm20.handle_in(guest.transact(tpm20.start_session()))
    for end in (daemon.kill, daemon.stop):
        end()
        daemon.start()
        guest.reconnect()
        equal(tpm20.pcr_in(guest.transact(tpm20.pcr_read(PCR))), chain(1),
              "a PCR survives")
        equal(tpm20.result(guest.transact(tpm20.read_public(key))), 0,
              "a loaded key survives")
    equal([tpm20.result(guest.transact(tpm20.flush(handle))) for handle in
           (session, key)], [0, 0], "a session survives")


def everything_volatile_on_tpm12(lab):
    daemon = lab.vtpmd("1.2")
    guest = daemon.ring()
    guest.transact(tpm12.STARTUP_CLEAR)
    extended = guest.transact(tpm12.extend(10, bytes(range(20))))
    for end in (daemon.kill, daemon.stop):
        end()
        daemon.start()
        guest.reconnect()
        read = guest.transact(tpm12.pcr_read(10))
        equal(read[10:], extended[10:], "a PCR survives, without a Startup")


def without_a_shadow(lab):
    daemon = lab.vtpmd(options=["--shadow", "off"])
    guest = daemon.ring()
    guest.transact(tpm20.pcr_extend(PCR, DIGEST))
    daemon.kill()
    daemon.start()
    guest.reconnect()
    equal(tpm20.pcr_in(guest.transact(tpm20.pcr_read(PCR))), bytes(32),
          "without a shadow a crash resets the TPM")


def a_shadow_that_was_off_meanwhile(lab):
    """Nothing outdated is found later."""
    daemon = lab.vtpmd("1.2")
    guest = daemon.ring()
    guest.transact(tpm12.STARTUP_CLEAR)
    guest.transact(tpm12.extend(10, bytes(range(20))))
    daemon.kill()
    daemon.start(["--shadow", "off"])
    guest.reconnect()
    guest.transact(tpm12.STARTUP_CLEAR)
    daemon.kill()
    daemon.start()
    guest.reconnect()
    guest.transact(tpm12.STARTUP_CLEAR)
    equal(guest.transact(tpm12.pcr_read(10))[10:], bytes(20),
          "a shadow from before a run without one is not used")


def a_key_pool_either_way(lab):
    """At its end the pool says how much it was asked for."""
    daemon = lab.vtpmd(options=["--key-pool", "2"])
    daemon.stop()
    equal(daemon.process.log().count("key pool: "), 1,
          "keys are kept ready after a reset")
    daemon.start()
    daemon.stop()
    equal(daemon.process.log().count("key pool: "), 2,
          "and where a TPM goes on")


def a_guest_that_started_over(lab):
    """A fresh page never gets what was meant for the last one."""
    daemon = lab.vtpmd()
    guest = daemon.ring()
    guest.transact(tpm20.get_random(8))
    daemon.process.signal(signal.SIGSTOP)
    guest.submit(0, tpm20.get_random(8))
    daemon.kill()
    daemon.start()
    fresh = daemon.ring()
    equal(len(fresh.transact(tpm20.get_random(20))), 32,
          "a new page of the same frontend gets its own answers")


def a_shadow_on_a_disk(lab):
    path = pathlib.Path(lab.path) / "shadow"
    daemon = lab.vtpmd(options=["--shadow", path])
    if "no shadow" not in daemon.process.log():
        raise harness.Skip("the scratch directory is in memory")
    check(not path.exists(), "a shadow is never kept on a disk")
    equal(daemon.stats()["tpm"]["shadow"], "off", "and status says so")


def secrets_stay_out_of_logs(lab):
    """What only the TPM and its key file know is in no log."""
    daemon = lab.vtpmd()
    guest = daemon.ring()
    password = b"pAssw0rd-of-an-index"
    index = 0x1500021
    guest.transact(tpm20.nv_define(index, tpm20.NV_BY_PASSWORD, 24, password))
    secret = b"sEcret-in-an-index-0123."
    guest.transact(tpm20.nv_write(index, secret, password))
    daemon.kill()
    daemon.start()
    guest.reconnect()
    equal(tpm20.nv_data(guest.transact(tpm20.nv_read(index, 24, password))),
          secret, "an index keeps its secret")
    daemon.stop()
    log = daemon.process.log().lower()
    key = daemon.key.read_bytes()
    for name, octets in (("password", password), ("secret", secret),
                         ("key", key[-32:])):
        found = [form for form in (octets.hex(), repr(octets)[2:-1].lower())
                 if form in log]
        equal(found, [], f"a {name} is in no log")
    shadow = daemon.shadow.read_bytes()
    equal(oct(daemon.shadow.stat().st_mode & 0o777), "0o600",
          "the shadow is its owner's alone")
    equal([octets for octets in (password, secret) if octets in shadow], [],
          "and shows no secret")


if __name__ == "__main__":
    harness.main(extends_under_kill, extends_under_restart,
                 everything_volatile_on_tpm20, everything_volatile_on_tpm12,
                 without_a_shadow, a_shadow_that_was_off_meanwhile,
                 a_key_pool_either_way, a_guest_that_started_over,
                 a_shadow_on_a_disk, secrets_stay_out_of_logs)
