#!/usr/bin/env python3
"""Commands are cancelled where they can be, and only for who asked."""

import signal

import harness
import ring
import tpm12
import tpm20
from harness import check, equal

# A key may be made before the cancel arrives.
ATTEMPTS = 20


def parent_key(guest):
    response = guest.transact(tpm20.create_primary_ecc())
    harness.require(tpm20.result(response) == 0, "a parent key is made")
    return tpm20.handle_in(response)


def await_running(daemon, guest):
    """Waits until the guest's command runs, or is done already."""
    harness.wait_until(lambda: daemon.stats()["tpm"]["running"]
                       or not guest.busy(), "a command runs")


def running_on_tpm20(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    parent = parent_key(guest)
    codes = set()
    for _ in range(ATTEMPTS):
        guest.submit(0, tpm20.create_rsa(parent))
        await_running(daemon, guest)
        guest.cancel()
        response = guest.wait()
        codes.add(tpm20.result(response) if response else None)
        if tpm20.RC_CANCELED in codes:
            break
    check(tpm20.RC_CANCELED in codes,
          "a running key creation ends with TPM_RC_CANCELED", codes)
    check(codes <= {tpm20.RC_CANCELED, 0, None},
          "or is done, or was not begun; nothing else", codes)
    equal(tpm20.result(guest.transact(tpm20.get_random())), 0,
          "the next command is served")


def queued(lab):
    daemon = lab.vtpmd()
    busy, guest = daemon.ring(1), daemon.ring(2)
    parent = parent_key(busy)
    # Unseen by vtpmd until it goes on, so that both wait when it looks.
    daemon.process.signal(signal.SIGSTOP)
    busy.submit(0, tpm20.create_rsa(parent))
    guest.submit(0, tpm20.get_random())
    guest.cancel()
    daemon.process.signal(signal.SIGCONT)
    equal(guest.wait(), None, "a request cancelled before it ran goes to IDLE")
    equal(guest.state, ring.IDLE, "as the page says")
    equal(tpm20.result(busy.wait()), 0, "the other frontend's command goes on")
    equal(tpm20.result(guest.transact(tpm20.get_random())), 0,
          "and the page can be used again")


def behind_a_long_command(lab):
    daemon = lab.vtpmd()
    busy, guest = daemon.ring(1), daemon.ring(2)
    parent = parent_key(busy)
    busy.submit(0, tpm20.create_rsa(parent))
    await_running(daemon, busy)
    guest.submit(0, tpm20.get_random())
    guest.cancel()
    response = guest.wait()
    check(response is None or tpm20.result(response) == 0,
          "a request behind a long one is removed, or was just served",
          response)
    equal(tpm20.result(busy.wait()), 0,
          "the long one of the other frontend is not cancelled")


def nothing_to_cancel(lab):
    guest = lab.vtpmd().ring()
    guest.cancel()
    equal(guest.wait(), None, "CANCEL with nothing under way answers IDLE")
    equal(tpm20.result(guest.transact(tpm20.get_random())), 0,
          "the next command is served")


def running_on_tpm12(lab):
    daemon = lab.vtpmd("1.2")
    guest = daemon.ring()
    guest.transact(tpm12.STARTUP_CLEAR)
    equal(tpm12.result(tpm12.take_ownership(guest.transact)), 0,
          "ownership is taken")
    responses = set()
    for _ in range(ATTEMPTS):
        guest.submit(0, tpm12.create_wrap_key(guest.transact))
        await_running(daemon, guest)
        guest.cancel()
        response = guest.wait()
        responses.add(tpm12.result(response) if response else None)
        if 0 in responses:
            break
    check(0 in responses, "a running 1.2 key creation runs to its end",
          responses)
    check(responses <= {0, None}, "or has ended before; nothing else",
          responses)
    equal(tpm12.result(guest.transact(tpm12.get_random())), 0,
          "the next command is served")


if __name__ == "__main__":
    harness.main(running_on_tpm20, queued, behind_a_long_command,
                 nothing_to_cancel, running_on_tpm12)
