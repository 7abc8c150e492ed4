#!/usr/bin/env python3
"""A disk below vtpmd that fails, stalls, fills up, and is cut anywhere.

The disk is nbdkit's, seen as a file through FUSE. Where that cannot be had the
cases are skipped and say so.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import harness
import tpm20
from harness import check, equal, require

INDEX = 0x1500050
STATE_SIZE = 512 * 1024
SECTOR = 512
COMMITS = 12


class Disk:
    """A file that nbdkit serves; faults come and go by `fail`."""

    def __init__(self, lab, *filters):
        for program in ("nbdkit", "nbdfuse"):
            if not shutil.which(program):
                raise harness.Skip(f"there is no {program} here")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise harness.Skip("FUSE cannot be used here")
        self.log_path = lab.path / "writes.log"
        self.fault = lab.path / "fault"
        self.mount = lab.path / "disk"
        self.mount.mkdir()
        self.path = self.mount / "nbd"
        content = lab.path / "disk.img"
        content.write_bytes(bytes(STATE_SIZE))
        names = [word for word in filters if word.startswith("--")]
        values = [word.format(fault=self.fault) for word in filters
                  if not word.startswith("--")]
        plugin = pathlib.Path(__file__).with_name("recording_disk.py")
        self.process = lab.spawn("disk", [
            "nbdfuse", "-o", "umask=0077", self.path, "[", "nbdkit", *names,
            "python", plugin, f"file={content}", f"log={self.log_path}",
            *values, "]"])
        lab.exit.callback(self.close)
        try:
            harness.wait_until(self.served, "the disk is served", 20)
        except harness.Failed:
            raise harness.Skip("nbdfuse does not serve a disk here: "
                               + self.process.log().strip()) from None

    def served(self):
        with contextlib.suppress(OSError):
            return self.path.stat().st_size == STATE_SIZE
        return not self.process.alive()

    def fail(self, on):
        if on:
            self.fault.touch()
        else:
            self.fault.unlink()

    def writes(self):
        """Returns offset and data of every write so far."""
        octets = self.log_path.read_bytes() if self.log_path.exists() else b""
        out = []
        while octets:
            offset = int.from_bytes(octets[:8], "big")
            size = int.from_bytes(octets[8:12], "big")
            out.append((offset, octets[12:12 + size]))
            octets = octets[12 + size:]
        return out

    def close(self):
        subprocess.run(["umount", self.path], check=False,
                       stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()


def on_disk(lab, disk):
    """Makes a TPM whose state is on this disk, with an NV index."""
    daemon = lab.vtpmd(state=disk.path)
    response = daemon.execute(tpm20.nv_define(INDEX, tpm20.NV_BY_PASSWORD, 8))
    require(tpm20.result(response) == 0, "a TPM is at work on that disk")
    return daemon


def status(daemon):
    return json.loads(daemon.ctl("status", "--json"))


def faults(lab, name, *filters):
    """While the disk fails no answer comes; it comes once it works again."""
    disk = Disk(lab, *filters)
    daemon = on_disk(lab, disk)
    guest = daemon.ring()
    disk.fail(True)
    guest.submit(0, tpm20.nv_write(INDEX, b"unstored"))
    harness.wait_until(lambda: status(daemon)["commits"]["failing"],
                       f"{name}: the commit fails")
    check(status(daemon)["commits"]["retries"] > 0,
          f"{name}: status says that the commit fails and is repeated")
    check(guest.busy(), f"{name}: no answer leaves meanwhile")
    disk.fail(False)
    equal(tpm20.result(guest.wait()), 0,
          f"{name}: the answer comes once the disk works")
    check(not status(daemon)["commits"]["failing"], f"{name}: all is well")
    daemon.kill()
    daemon.start()
    equal(tpm20.nv_data(daemon.execute(tpm20.nv_read(INDEX, 8))), b"unstored",
          f"{name}: and what it told is stored")


def disk_errors(lab):
    faults(lab, "EIO", "--filter=error", "error-pwrite=EIO",
           "error-pwrite-rate=100%", "error-file={fault}")


def disk_full(lab):
    faults(lab, "ENOSPC", "--filter=error", "error-pwrite=ENOSPC",
           "error-pwrite-rate=100%", "error-file={fault}")


def slow_disk(lab):
    disk = Disk(lab, "--filter=delay", "delay-write=500ms")
    daemon = on_disk(lab, disk)
    guest = daemon.ring()
    guest.submit(0, tpm20.nv_write(INDEX, b"in time."))
    answered = status(daemon)["tpm"]["generation"]
    check(answered > 0, "control answers while the disk takes its time")
    equal(tpm20.result(guest.wait()), 0, "and the guest gets its answer")


def every_prefix(lab):
    """Cuts what vtpmd wrote after every sector, and opens what is there."""
    disk = Disk(lab)
    daemon = on_disk(lab, disk)
    # How many writes had been made when a generation had been acknowledged.
    acknowledged = []
    for i in range(COMMITS):
        response = daemon.execute(tpm20.nv_write(INDEX, b"%08d" % i))
        require(tpm20.result(response) == 0, f"commit {i} is acknowledged")
        acknowledged.append((len(disk.writes()),
                             status(daemon)["commits"]["generation"]))
    daemon.kill()
    writes = disk.writes()
    start = acknowledged[0][0]
    image = bytearray(STATE_SIZE)
    for offset, data in writes[:start]:
        image[offset:offset + len(data)] = data
    state = lab.path / "replayed"
    wrong, cuts = [], 0
    for number, (offset, data) in enumerate(writes[start:], start + 1):
        least = max(gen for count, gen in acknowledged if count < number)
        most = min((gen for _, gen in acknowledged if gen > least),
                   default=least + 1)
        for at in range(0, len(data), SECTOR):
            image[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
            state.write_bytes(image)
            state.chmod(0o600)
            done = lab.run(lab.program("vtpmctl"), "inspect", state, "--key",
                           daemon.key, "--json")
            found = json.loads(done.stdout or "{}")
            cuts += 1
            live = found.get("live")
            gen = None if live is None else found["slots"][live]["generation"]
            if done.returncode != 0 or not least <= gen <= most:
                wrong.append((number, at, done.returncode, least, gen))
    check(cuts >= (COMMITS - 1) * 8,
          f"what was written is cut at {cuts} sectors")
    equal(wrong, [], "each opens at what was acknowledged, or one further")
    equal(bytes(image), disk.path.read_bytes(),
          "all writes together are what is on the disk")


if __name__ == "__main__":
    harness.main(disk_errors, disk_full, slow_disk, every_prefix)
