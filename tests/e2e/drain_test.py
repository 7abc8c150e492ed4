#!/usr/bin/env python3
"""SIGTERM ends vtpmd in order, whatever runs, and loses nothing."""

import signal
import threading

import harness
import ring
import tpm12
import tpm20
from harness import check, equal, require

CLIENTS = 4
ROUNDS = 5

# Far above the promised two seconds: this is about ending at all.
DRAIN_S = 30


class Incrementer(threading.Thread):
    """A guest that counts as fast as it can, over restarts of vtpmd."""

    def __init__(self, guest, index):
        super().__init__(daemon=True)
        self.guest = guest
        self.index = index
        self.acknowledged = 0
        self.failed = []
        self.ending = False

    def run(self):
        request = tpm20.nv_increment(self.index)
        waiting = False
        while not self.ending or waiting:
            try:
                if waiting:
                    self.guest.reconnect()
                    response = self.guest.wait()
                else:
                    response = self.guest.transact(request)
                waiting = False
            except (ring.Gone, OSError):
                # The request is in the page, for the next vtpmd.
                waiting = True
                continue
            if response is None or tpm20.result(response) != 0:
                self.failed.append(response)
            else:
                self.acknowledged += 1


def under_load(lab):
    daemon = lab.vtpmd()
    threads = []
    for i in range(CLIENTS):
        guest = daemon.ring(1 + i)
        attributes = tpm20.NV_BY_PASSWORD | tpm20.NV_COUNTER
        require(tpm20.result(guest.transact(tpm20.nv_define(
            0x1500030 + i, attributes, 8))) == 0, f"counter {i} is defined")
        guest.transact(tpm20.nv_increment(0x1500030 + i))
        first = tpm20.counter_in(guest.transact(tpm20.nv_read(
            0x1500030 + i, 8)))
        threads.append((Incrementer(guest, 0x1500030 + i), first))
    for thread, _ in threads:
        thread.start()
    for i in range(ROUNDS):
        before = [thread.acknowledged for thread, _ in threads]
        harness.wait_until(
            lambda: all(thread.acknowledged > count + 10
                        for (thread, _), count in zip(threads, before)),
            "all clients count")
        daemon.process.signal(signal.SIGTERM)
        equal(daemon.process.wait(DRAIN_S), 0,
              f"vtpmd under load ends with 0 on SIGTERM, time {i + 1}")
        daemon.start()
    for thread, first in threads:
        thread.ending = True
        thread.join(harness.STEP_S)
        require(not thread.is_alive(), "a client comes to its end")
        equal(thread.failed, [], "no command of it has failed")
        value = tpm20.counter_in(thread.guest.transact(
            tpm20.nv_read(thread.index, 8)))
        equal(value - first, thread.acknowledged,
              "its counter has every increment it was told of, and no other")


def during_a_key_creation_on_tpm20(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    response = guest.transact(tpm20.create_primary_ecc())
    require(tpm20.result(response) == 0, "a parent key is made")
    guest.submit(0, tpm20.create_rsa(tpm20.handle_in(response)))
    harness.wait_until(lambda: daemon.stats()["tpm"]["running"]
                       or not guest.busy(), "the key creation runs")
    daemon.process.signal(signal.SIGTERM)
    equal(daemon.process.wait(DRAIN_S), 0, "vtpmd ends with 0")
    daemon.start()
    guest.reconnect()
    equal(tpm20.result(guest.wait() or b"\xff" * 10), 0,
          "and the next one gives the key, if it had not")


def during_a_key_creation_on_tpm12(lab):
    daemon = lab.vtpmd("1.2")
    guest = daemon.ring()
    guest.transact(tpm12.STARTUP_CLEAR)
    equal(tpm12.result(tpm12.take_ownership(guest.transact)), 0,
          "ownership is taken")
    guest.submit(0, tpm12.create_wrap_key(guest.transact))
    harness.wait_until(lambda: daemon.stats()["tpm"]["running"]
                       or not guest.busy(), "the key creation runs")
    daemon.process.signal(signal.SIGTERM)
    equal(daemon.process.wait(DRAIN_S), 0, "vtpmd ends with 0")
    check(not guest.busy(), "and has answered")
    equal(tpm12.result(guest.response() or b"\xff" * 10), 0, "with the key")


def by_vtpmctl(lab):
    daemon = lab.vtpmd()
    daemon.ctl("shutdown")
    equal(daemon.process.wait(DRAIN_S), 0, "vtpmctl shutdown ends it with 0")
    check(not daemon.socket.exists() and not daemon.control.exists(),
          "and it takes its sockets with it")


if __name__ == "__main__":
    harness.main(under_load, during_a_key_creation_on_tpm20,
                 during_a_key_creation_on_tpm12, by_vtpmctl)
