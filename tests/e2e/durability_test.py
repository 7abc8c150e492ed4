#!/usr/bin/env python3
"""What was acknowledged is there after kill -9; what was asked is answered."""

import signal
import socket

import harness
import ring
import tpm12
import tpm20
from harness import check, equal, require

ROUNDS = 20


def kill_and_compare(daemon, guest, write, read, data_in):
    """Writes, kills at the moment of the response, reads: many times."""
    lost = []
    for i in range(ROUNDS):
        data = b"round %02d" % i
        response = guest.transact(write(data))
        daemon.kill()
        if tpm20.result(response) != 0:
            lost.append((i, response.hex()))
        daemon.start()
        guest.reconnect()
        if daemon.tpm == "1.2":
            guest.transact(tpm12.STARTUP_CLEAR)
        found = data_in(guest.transact(read()))
        if found != data:
            lost.append((i, found))
    equal(lost, [], f"{ROUNDS} acknowledged NV writes outlive {ROUNDS} kill -9")


def nv_writes_on_tpm20(lab):
    daemon = lab.vtpmd("2.0")
    guest = daemon.ring()
    index = 0x1500020
    response = guest.transact(tpm20.nv_define(
        index, tpm20.NV_BY_PASSWORD, 8))
    require(tpm20.result(response) == 0, "an NV index is defined")
    kill_and_compare(daemon, guest, lambda data: tpm20.nv_write(index, data),
                     lambda: tpm20.nv_read(index, 8), tpm20.nv_data)


def nv_writes_on_tpm12(lab):
    daemon = lab.vtpmd("1.2", options=["--physical-presence"])
    guest = daemon.ring()
    guest.transact(tpm12.STARTUP_CLEAR)
    response = guest.transact(tpm12.nv_define(0x20, tpm12.NV_PPWRITE, 8))
    require(tpm12.result(response) == 0, "an NV area is defined",
            response.hex())
    kill_and_compare(daemon, guest, lambda data: tpm12.nv_write(0x20, data),
                     lambda: tpm12.nv_read(0x20, 8), tpm12.nv_data)


def request_left_in_the_page(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    # Stopped, vtpmd cannot take the request; killed, it never will.
    daemon.process.signal(signal.SIGSTOP)
    guest.submit(0, tpm20.get_random(8))
    daemon.kill()
    equal(guest.state, ring.SUBMIT, "a killed vtpmd leaves SUBMIT in the page")
    daemon.start()
    guest.reconnect()
    response = guest.wait()
    equal((len(response), tpm20.result(response)), (20, 0),
          "the next vtpmd serves that request")
    daemon.kill()
    guest.place(0, tpm20.get_random(4))
    daemon.start()
    guest.reconnect()
    equal(len(guest.wait()), 16,
          "and one that was placed while there was no vtpmd")


def front_outlives_vtpmd(lab):
    daemon = lab.vtpmd()
    front, port = lab.listen(daemon)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(harness.STEP_S)
        for end in (daemon.kill, daemon.stop):
            client.sendall(tpm20.get_random(8))
            equal(len(client.recv(64)), 20, "vtpm-front serves its client")
            end()
            client.sendall(tpm20.get_random(6))
            daemon.start()
            equal(len(client.recv(64)), 18,
                  "a command sent while vtpmd was gone is answered")
    check(front.alive(), "by the same vtpm-front")


if __name__ == "__main__":
    harness.main(nv_writes_on_tpm20, nv_writes_on_tpm12,
                 request_left_in_the_page, front_outlives_vtpmd)
