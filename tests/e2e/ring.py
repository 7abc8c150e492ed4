"""A loopback frontend in Python: xenio/loopback/wire.hpp and tpmif.h again.

It shares no code with vtpmd, so that a mistake common to both sides of the
C++ would show, and it can be told to misbehave at every step.
"""

import fcntl
import mmap
import os
import random
import select
import socket
import struct
import time

NO_UUID = "00000000-0000-0000-0000-000000000000"

PAGE_SIZE = 4096

# Page states (xen/include/public/io/tpmif.h).
IDLE, SUBMIT, FINISH, CANCEL = range(4)

# XenbusState (xen/include/public/io/xenbus.h).
INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED = 2, 3, 4, 5, 6

# Why vtpmd ends a connection.
MALFORMED, DENIED, CLAIMED, RELEASING, FULL = range(1, 6)

LIMIT_S = 60


class Refused(Exception):
    """vtpmd said no; `code` says why."""

    def __init__(self, code, reason):
        super().__init__(f"refused with {code}: {reason}")
        self.code = code


class Gone(Exception):
    """vtpmd has ended the connection."""


def make_page(size=PAGE_SIZE, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
    """Returns the file of a page such as vtpmd accepts."""
    file = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def make_bell():
    """Returns both ends of a doorbell."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def claim_message(domid, handle, uuid, version=1):
    return struct.pack("<BBHI", 1, version, domid, handle) + uuid.encode()


def node_message(key, value):
    return (struct.pack("<BBBB", 4, len(key), len(value), 0)
            + key.encode() + value.encode())


class Link:
    """One connection to vtpmd's socket, step by step."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(path)
        self.state = 0

    def send(self, octets, files=()):
        socket.send_fds(self.socket, [octets], files)

    def claim(self, domid, handle, uuid):
        self.send(claim_message(domid, handle, uuid))
        while self.receive() != 5:
            pass

    def offer(self, page_file, bell):
        """Offers both under fresh numbers and gets Initialised."""
        reference, port = random.getrandbits(31), random.getrandbits(31)
        self.send(struct.pack("<BxxxI", 2, reference), [page_file])
        self.send(struct.pack("<BxxxI", 3, port), [bell])
        self.send(node_message("ring-ref", str(reference)))
        self.send(node_message("event-channel", str(port)))
        self.send(node_message("feature-protocol-v2", "1"))
        self.set_state(INITIALISED)

    def set_state(self, state):
        self.send(node_message("state", str(state)))

    def receive(self):
        """Takes one message. Returns its kind."""
        message = self.socket.recv(1024)
        if not message:
            raise Gone("the connection ended")
        if message[0] == 6:
            code, size = struct.unpack_from("<BH", message, 1)
            raise Refused(code, message[4:4 + size].decode())
        if message[0] == 4:
            key_size, value_size = message[1], message[2]
            key = message[4:4 + key_size]
            value = message[4 + key_size:4 + key_size + value_size]
            if key == b"state" and value:
                self.state = int(value)
        return message[0]

    def await_state(self, wanted):
        while self.state != wanted:
            self.receive()

    def close(self):
        self.socket.close()


class Ring:
    """A guest's side of a ring: owns its page, keeps it over restarts."""

    def __init__(self, path, domid=1, handle=0, uuid=NO_UUID):
        self.path = path
        self.who = (domid, handle, uuid)
        self.file = make_page()
        self.page = mmap.mmap(self.file, PAGE_SIZE)
        self.link = None
        self.bell = None

    def connect(self):
        """Goes through the handshake until both sides are Connected."""
        self.disconnect()
        near_end, far_end = make_bell()
        self.link = Link(self.path)
        self.link.claim(*self.who)
        self.link.offer(self.file, far_end.fileno())
        far_end.close()
        self.link.await_state(CONNECTED)
        self.link.set_state(CONNECTED)
        self.bell = near_end

    def reconnect(self, limit=LIMIT_S):
        """Connects as soon as there is a vtpmd that lets us."""
        deadline = time.monotonic() + limit
        while True:
            try:
                self.connect()
                return
            except (OSError, Gone):
                pass
            except Refused as reason:
                if reason.code not in (RELEASING, CLAIMED):
                    raise
            if time.monotonic() > deadline:
                raise TimeoutError("vtpmd does not come back")
            time.sleep(0.02)

    def disconnect(self):
        for one in (self.link, self.bell):
            if one is not None:
                one.close()
        self.link = self.bell = None

    def close(self):
        self.disconnect()
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    @property
    def state(self):
        return self.page[4]

    def place(self, locality, packet, length=None, extra_pages=0):
        """Writes a request into the page; the doorbell stays quiet."""
        start = 8 + 4 * extra_pages
        packet = packet[:PAGE_SIZE - start]
        self.page[start:start + len(packet)] = packet
        self.page[0:4] = struct.pack(
            "<I", len(packet) if length is None else length)
        self.page[5:8] = bytes((locality, 0, extra_pages))
        self.page[4] = SUBMIT

    def ring(self):
        """Rings, and returns whether anybody has the other end."""
        try:
            self.bell.send(b"\0", socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def submit(self, locality, packet, **layout):
        self.place(locality, packet, **layout)
        return self.ring()

    def cancel(self):
        self.page[4] = CANCEL
        return self.ring()

    def busy(self):
        return self.state in (SUBMIT, CANCEL)

    def response(self):
        """Returns what is in the page; nothing if the page is idle."""
        if self.state != FINISH:
            return None
        start = 8 + 4 * self.page[7]
        length, = struct.unpack_from("<I", self.page, 0)
        return bytes(self.page[start:start + length])

    def wait(self, limit=LIMIT_S):
        """Waits for the end of a request. Returns its response, or nothing
        after a cancel."""
        deadline = time.monotonic() + limit
        while self.busy():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no response in time")
            ready, _, _ = select.select([self.bell], [], [], min(left, 1))
            if ready and not self.bell.recv(16):
                if self.busy():
                    raise Gone("vtpmd is gone; the request stays in the page")
        return self.response()

    def transact(self, packet, locality=0, limit=LIMIT_S):
        if not self.submit(locality, packet):
            raise Gone("vtpmd is gone; the request stays in the page")
        return self.wait(limit)
