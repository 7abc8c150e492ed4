#!/usr/bin/env python3
"""Whatever a bad guest does, good guests notice nothing.

Each case runs two good guests in threads of their own, lets a bad one do its
worst, and then asks: are the good ones served to the end, is vtpmd the same
process with as many descriptors as before?
"""

import contextlib
import fcntl
import hashlib
import multiprocessing
import os
import random
import signal
import socket
import struct
import threading
import time

import harness
import ring
import tpm12
import tpm20
from harness import check, equal

GOOD_UUID = "00000000-0000-0000-0000-00000000900d"

# How long a storm blows: long enough for thousands of messages.
STORM_S = 2

# Descriptors that may come and go in their own time: the control socket's.
DESCRIPTORS_SPARE = 2


class GoodGuest(threading.Thread):
    """Extends a PCR and checks what the TPM makes of it, again and again."""

    def __init__(self, guest, pcr):
        super().__init__(daemon=True)
        self.guest = guest
        self.pcr = pcr
        self.rounds = 0
        self.problem = None
        self.ending = False

    def run(self):
        expected = bytes(32)
        digest = b"\xab" * 32
        try:
            while not self.ending:
                response = self.guest.transact(
                    tpm20.pcr_extend(self.pcr, digest))
                expected = hashlib.sha256(expected + digest).digest()
                found = tpm20.pcr_in(self.guest.transact(
                    tpm20.pcr_read(self.pcr)))
                if tpm20.result(response) != 0 or found != expected:
                    self.problem = f"{response.hex()} {found.hex()}"
                    return
                self.rounds += 1
        except Exception as why:  # pylint: disable=broad-except
            self.problem = repr(why)


@contextlib.contextmanager
def good_guests(lab):
    """A vtpmd with two good guests; they are judged at the end."""
    daemon = lab.vtpmd()
    guests = [GoodGuest(daemon.ring(100 + i, 0, GOOD_UUID), 10 + i)
              for i in range(2)]
    before = daemon.process.descriptors()
    for guest in guests:
        guest.start()
    yield daemon
    after_attack = [guest.rounds for guest in guests]
    harness.wait_until(
        lambda: all(g.problem or g.rounds > count + 10
                    for g, count in zip(guests, after_attack)),
        "the good guests go on")
    for guest in guests:
        guest.ending = True
        guest.join(harness.STEP_S)
        equal(guest.problem, None, f"a good guest had all of its "
              f"{guest.rounds} rounds right")
    check(daemon.process.alive(), "vtpmd is alive")
    sentence = "vtpmd has no more descriptors than before"
    if before is None:
        harness.skip(sentence, "only root can count them")
        return
    harness.wait_until(
        lambda: daemon.process.descriptors() <= before + DESCRIPTORS_SPARE,
        sentence)
    check(True, sentence)


def counted(daemon, domid):
    """Returns the counters of a frontend that is connected."""
    return next(f for f in daemon.stats()["frontends"] if f["domid"] == domid)


def bad_lengths(lab):
    with good_guests(lab) as daemon:
        bad = daemon.ring(5)
        whole = tpm20.get_random()
        lengths = (0, 1, 9, 11, 13, 4088, 4089, 4096, 1 << 16, 1 << 31,
                   (1 << 32) - 1)
        codes = []
        for length in lengths:
            bad.submit(0, whole, length=length)
            response = bad.wait()
            codes.append((len(response), tpm20.result(response)))
        equal(codes, [(10, tpm20.RC_COMMAND_SIZE)] * len(lengths),
              "each impossible length gets TPM_RC_COMMAND_SIZE")
        equal(counted(daemon, 5)["malformed"], len(lengths),
              "vtpmctl stats counts them")
        equal(tpm20.result(bad.transact(whole)), 0,
              "the same guest is served when it behaves")


def bad_tags(lab):
    with good_guests(lab) as daemon:
        bad = daemon.ring(5)
        answers = set()
        tags = [0, 1, 0x00C0, 0x00C4, 0x8000, 0x8003, 0xFFFF]
        for tag in tags:
            packet = struct.pack(">H", tag) + tpm20.get_random()[2:]
            answers.add(bad.transact(packet).hex())
        answers.add(bad.transact(tpm12.STARTUP_CLEAR).hex())
        equal(answers, {"00c40000000a0000001e"},
              "an unknown tag, and a 1.2 one, gets TPM_RC_BAD_TAG")
        equal(counted(daemon, 5)["malformed"], len(tags) + 1,
              "vtpmctl stats counts them")


def extra_pages(lab):
    with good_guests(lab) as daemon:
        bad = daemon.ring(5)
        bad.submit(0, tpm20.get_random(), extra_pages=255)
        equal(len(bad.wait()), 28, "a request behind 255 extra pages is served")
        bad.submit(0, tpm20.get_random(), extra_pages=255, length=4088)
        equal(tpm20.result(bad.wait()), tpm20.RC_COMMAND_SIZE,
              "one that would not fit behind them is refused")
        equal(counted(daemon, 5)["malformed"], 1, "and counted")


def random_pages(lab):
    """Writes anything anywhere in the page and rings, from a fixed seed."""
    with good_guests(lab) as daemon:
        bad = daemon.ring(5)
        source = random.Random(1)
        deadline = time.monotonic() + STORM_S
        while time.monotonic() < deadline:
            bad.page[:16] = source.randbytes(16)
            start = source.randrange(4000)
            bad.page[start:start + 64] = source.randbytes(64)
            bad.page[4] = source.choice((0, 1, 1, 1, 2, 3, 4, 255))
            bad.ring()
            bad.bell.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                bad.bell.recv(16)
        check(counted(daemon, 5)["malformed"] > 0,
              "vtpmctl stats counts malformed requests")


def storm(lab):
    """SUBMIT, CANCEL and doorbells without end, and no look at the answers."""
    with good_guests(lab) as daemon:
        bad = daemon.ring(5)
        bad.bell.setblocking(False)
        deadline = time.monotonic() + STORM_S
        while time.monotonic() < deadline:
            bad.submit(0, tpm20.get_random())
            bad.ring()
            bad.cancel()
        full = 0
        while full < 1000:
            try:
                bad.bell.send(b"\0", socket.MSG_DONTWAIT)
            except BlockingIOError:
                full += 1
        check(counted(daemon, 5)["commands"] > 0,
              "vtpmctl stats counts what was a command")


def handshakes(path, seed):
    """Garbage in every place of the handshake."""
    source = random.Random(seed)
    uuid = ring.NO_UUID
    for _ in range(300):
        with contextlib.suppress(OSError, ring.Refused, ring.Gone):
            link = ring.Link(path)
            link.socket.settimeout(5)
            kind = source.randrange(8)
            if kind == 0:
                link.send(source.randbytes(source.randrange(1, 600)))
            elif kind == 1:
                link.send(ring.claim_message(5, 0, uuid, version=9))
            elif kind == 2:
                link.send(ring.claim_message(5, 0, uuid)[:-1])
            else:
                link.claim(5, source.randrange(3), uuid)
                garble_offer(link, source, kind)
            link.socket.settimeout(0.02)
            for _ in range(8):
                link.receive()
        link.close()


def garble_offer(link, source, kind):
    """Offers a page or a doorbell that vtpmd must not take."""
    near_end, far_end = ring.make_bell()
    pages = {3: lambda: ring.make_page(seals=0),
             4: lambda: ring.make_page(size=2 * ring.PAGE_SIZE),
             5: lambda: os.open("/dev/zero", os.O_RDWR),
             6: ring.make_page, 7: ring.make_page}
    file = pages[kind]()
    try:
        if kind == 6:
            link.offer(file, file)
        elif kind == 7:
            link.send(ring.node_message("state", "3"), [file] * 20)
        else:
            link.offer(file, far_end.fileno())
        for _ in range(source.randrange(20)):
            link.send(source.randbytes(source.randrange(1, 300)),
                      [file] * source.randrange(3))
    finally:
        os.close(file)
        near_end.close()
        far_end.close()


def garbage_handshakes(lab):
    with good_guests(lab) as daemon:
        workers = [multiprocessing.Process(
            target=handshakes, args=(str(daemon.socket), seed))
                   for seed in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(harness.STEP_S)
            equal(worker.exitcode, 0, "a client made 300 bad handshakes")


def shrinking_page(lab):
    """A page that shrinks under vtpmd would end it with SIGBUS."""
    with good_guests(lab) as daemon:
        for seals, what in ((0, "no seals"),
                            (fcntl.F_SEAL_GROW, "no seal against shrinking"),
                            (fcntl.F_SEAL_SHRINK, "no seal against growing")):
            file = ring.make_page(seals=seals)
            near_end, far_end = ring.make_bell()
            link = ring.Link(str(daemon.socket))
            link.claim(5, 0, ring.NO_UUID)
            link.offer(file, far_end.fileno())
            with contextlib.suppress(ring.Refused, ring.Gone):
                link.await_state(ring.CLOSED)
            check(link.state != ring.CONNECTED,
                  f"a page with {what} is not mapped")
            if not seals & fcntl.F_SEAL_SHRINK:
                os.ftruncate(file, 0)
            for one in (link, near_end, far_end):
                one.close()
            os.close(file)


def stolen_identity(lab):
    with good_guests(lab) as daemon:
        for domid in (100, 101):
            link = ring.Link(str(daemon.socket))
            try:
                link.claim(domid, 0, GOOD_UUID)
                code = 0
            except ring.Refused as refusal:
                code = refusal.code
            equal(code, ring.CLAIMED, "nobody claims a frontend that is taken")
            link.close()


def claim_as_nobody(path, domid, codes):
    """In a process of its own: claims as user nobody."""
    os.setgid(65534)
    os.setuid(65534)
    link = ring.Link(path)
    try:
        link.claim(domid, 0, ring.NO_UUID)
        codes.put(0)
    except ring.Refused as refusal:
        codes.put(refusal.code)


def other_users(lab):
    if os.geteuid() != 0:
        raise harness.Skip("only root can become somebody else")
    daemon = lab.vtpmd(options=["--claim", "uid=0", "--claim",
                                "uid=65534,domid=3"])
    os.chmod(daemon.socket, 0o666)
    codes = multiprocessing.Queue()
    for domid, wanted, what in (
            (3, 0, "a user claims the domain that a rule gives it"),
            (4, ring.DENIED, "and no other")):
        worker = multiprocessing.Process(
            target=claim_as_nobody, args=(str(daemon.socket), domid, codes))
        worker.start()
        equal(codes.get(timeout=harness.STEP_S), wanted, what)
        worker.join(harness.STEP_S)


def submit_and_hang(path, connected):
    """In a process of its own: asks for a long command and waits for ever."""
    guest = ring.Ring(path, 5)
    guest.connect()
    response = guest.transact(tpm20.create_primary_ecc())
    guest.submit(0, tpm20.create_rsa(tpm20.handle_in(response)))
    connected.set()
    time.sleep(1000)


def death_in_mid_command(lab):
    with good_guests(lab) as daemon:
        for i in range(5):
            connected = multiprocessing.Event()
            worker = multiprocessing.Process(
                target=submit_and_hang, args=(str(daemon.socket), connected))
            worker.start()
            check(connected.wait(harness.STEP_S),
                  f"guest {i + 1} waits for a key")
            os.kill(worker.pid, signal.SIGKILL)
            worker.join(harness.STEP_S)
            daemon.execute(tpm20.command(0x165, parameters=struct.pack(
                ">I", 0x80000000)), "--domid", "6")
            successor = ring.Ring(str(daemon.socket), 5)
            successor.reconnect()
            equal(len(successor.transact(tpm20.get_random())), 28,
                  "its successor under the same name is served")
            successor.close()


if __name__ == "__main__":
    harness.main(bad_lengths, bad_tags, extra_pages, random_pages, storm,
                 garbage_handshakes, shrinking_page, stolen_identity,
                 other_users, death_in_mid_command)
