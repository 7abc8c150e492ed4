#!/usr/bin/env python3
"""A TPM carried over in an export, and from swtpm; states looked at offline."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import threading

import harness
import tpm12
import tpm20
from harness import check, equal, require

SLOT = 256 * 1024
INDEX = 0x1500030
EXPORTS = 4
SECRET = b"kept in NV memory 0815"

# What vtpmd exits with (deploy/vtpmd/start_problem.hpp).
LOCKED, NO_STATE, NOT_A_STATE, WRONG_KEY, ROLLBACK = 10, 11, 12, 13, 14
DAMAGE, ENGINE, UNUSABLE = 15, 17, 18


def ctl(lab, *arguments, code=0):
    """Runs vtpmctl without a vtpmd. Returns what it printed."""
    done = lab.run(lab.program("vtpmctl"), *arguments)
    equal(done.returncode, code, f"vtpmctl {arguments[0]} ends with {code}") \
        or print(f"#   {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def inspect(lab, state, *arguments, code=0):
    return json.loads(ctl(lab, "inspect", state, "--json", *arguments,
                          code=code))


def start(lab, state, key):
    """Runs a vtpmd that is not expected to come up. Returns how it ended."""
    return lab.run(lab.program("vtpmd"), "--state", state, "--key", key,
                   "--listen", lab.path / "other.ring", "--control",
                   lab.path / "other.control", "--log-level", "error")


def serve_copy(lab, daemon, state):
    """Has `daemon`'s next start use this state."""
    daemon.state = state
    daemon.key = lab.path / f"{state.name}.key"
    daemon.start()


def looked_at(lab):
    daemon = lab.vtpmd()
    running = inspect(lab, daemon.state, "--key", daemon.key, code=LOCKED)
    check(running["in_use"] and not running["starts"],
          "a state that a vtpmd has open is said to be in use", running)
    equal(daemon.stop(), 0, "that vtpmd ends")
    found = inspect(lab, daemon.state, "--key", daemon.key)
    check(found["starts"] and not found["in_use"], "a vtpmd would start now")
    live = found["slots"][found["live"]]
    octets = daemon.state.read_bytes()
    image = octets[live["slot"] * SLOT:][:live["image_size"]]
    equal(live["digest"], hashlib.sha256(image).hexdigest(),
          "the digest is that of the image as written")
    check(all(slot["opens"] for slot in found["slots"]
              if slot["verdict"] == "intact"), "the key opens what is there")
    equal(daemon.state.read_bytes(), octets, "looking changed nothing")
    text = ctl(lab, "inspect", daemon.state)
    check("starts from this" in text and live["uuid"] in text,
          "the report for people says the same", text)
    equal(inspect(lab, daemon.state)["slots"][live["slot"]].get("opens"), None,
          "without a key nothing is said about the key")


def refused_states(lab):
    """Each kind of bad state: its exit code, the same from vtpmctl inspect."""
    daemon = lab.vtpmd()
    for _ in range(3):
        daemon.restart()
    equal(daemon.stop(), 0, "the vtpmd ends")
    good = daemon.state.read_bytes()
    found = inspect(lab, daemon.state)
    live = found["live"]
    newest = good[live * SLOT:(live + 1) * SLOT]
    ctl(lab, "create", "--tpm", "2.0", "--state", lab.path / "stranger")

    def expect(octets, code, what, key=daemon.key):
        state = lab.path / "bad"
        state.write_bytes(octets)
        state.chmod(0o600)
        done = start(lab, state, key)
        equal((done.returncode, done.stderr.count("\n")), (code, 1),
              f"{what}: vtpmd exits with {code} and says why in one line")
        told = lab.run(lab.program("vtpmctl"), "inspect", state, "--key", key)
        equal(told.returncode, code, f"{what}: vtpmctl inspect knows")

    flipped = bytearray(good)
    flipped[live * SLOT + 700] ^= 1
    expect(flipped, DAMAGE, "a damaged newest slot")
    expect(bytes(2 * SLOT), NOT_A_STATE, "two empty slots")
    expect(good[:-1], UNUSABLE, "a file cut short")
    expect(good, WRONG_KEY, "another TPM's key", lab.path / "stranger.key")
    swapped = good[SLOT:] + good[:SLOT]
    expect(swapped, DAMAGE, "slots that changed places")
    # The live slot goes back two commits, beyond what the other one followed.
    serve_copy(lab, daemon, daemon.state)
    guest = daemon.ring()
    guest.transact(tpm20.nv_define(INDEX, tpm20.NV_BY_PASSWORD, 8))
    for i in range(4):
        guest.transact(tpm20.nv_write(INDEX, b"%08d" % i))
    equal(daemon.stop(), 0, "the vtpmd ends")
    later = bytearray(daemon.state.read_bytes())
    later[live * SLOT:(live + 1) * SLOT] = newest
    expect(later, ROLLBACK, "a slot put back from a copy")
    state = lab.path / "bad"
    state.write_bytes(good)
    state.chmod(0o666)
    equal(start(lab, state, daemon.key).returncode, UNUSABLE,
          "a state that others may write is refused")


def with_something_to_keep(lab, version):
    """Returns a vtpmd whose NV memory holds something."""
    if version == "1.2":
        daemon = lab.vtpmd("1.2", name="tpm12", options=["--physical-presence"])
        daemon.execute(tpm12.STARTUP_CLEAR)
        daemon.execute(tpm12.nv_define(0x20, tpm12.NV_PPWRITE, len(SECRET)))
        response = daemon.execute(tpm12.nv_write(0x20, SECRET))
    else:
        daemon = lab.vtpmd("2.0", name="tpm20")
        daemon.execute(tpm20.nv_define(INDEX, tpm20.NV_BY_PASSWORD,
                                       len(SECRET)))
        response = daemon.execute(tpm20.nv_write(INDEX, SECRET))
    require(tpm20.result(response) == 0, f"a TPM {version} has something in NV")
    return daemon


def kept_in(daemon):
    """Returns what NV memory holds."""
    if daemon.tpm == "1.2":
        daemon.execute(tpm12.STARTUP_CLEAR)
        return tpm12.nv_data(daemon.execute(tpm12.nv_read(0x20, len(SECRET))))
    return tpm20.nv_data(daemon.execute(tpm20.nv_read(INDEX, len(SECRET))))


def export_and_import(lab):
    passphrase = lab.path / "passphrase"
    passphrase.write_bytes(b"correct horse\n")
    passphrase.chmod(0o600)
    wrong = lab.path / "wrong"
    wrong.write_bytes(b"correct horst\n")
    wrong.chmod(0o600)
    key = lab.path / "export.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    for version, secret in (("1.2", ("--passphrase-file", passphrase)),
                            ("2.0", ("--key-file", key))):
        daemon = with_something_to_keep(lab, version)
        uuid = json.loads(daemon.ctl("status", "--json"))["tpm"]["uuid"]
        out = lab.path / f"export-{version}"
        equal(daemon.stop(), 0, "the vtpmd ends")
        ctl(lab, "export", "--state", daemon.state, "--to", out, *secret)
        equal(oct(out.stat().st_mode & 0o777), "0o600", "the export is 0600")
        check(SECRET not in out.read_bytes(), "what it holds cannot be read")
        before = out.read_bytes()
        check(lab.run(lab.program("vtpmctl"), "export", "--state",
                      daemon.state, "--to", out, *secret).returncode != 0
              and out.read_bytes() == before, "an export is never replaced")
        copy = lab.path / f"copy-{version}"
        ctl(lab, "import", "--from", out, "--state", copy,
            "--passphrase-file", wrong, code=WRONG_KEY)
        check(not copy.exists(), "a wrong passphrase makes no state")
        broken = lab.path / "broken"
        broken.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        ctl(lab, "import", "--from", broken, "--state", copy, *secret,
            code=WRONG_KEY)
        check(not copy.exists(), "nor does a changed export")
        told = ctl(lab, "import", "--from", out, "--state", copy, *secret)
        check(uuid in told, "an imported TPM keeps its uuid", told)
        check(lab.run(lab.program("vtpmctl"), "import", "--from", out,
                      "--state", copy, *secret).returncode != 0,
              "an import never replaces a state")
        serve_copy(lab, daemon, copy)
        equal(kept_in(daemon), SECRET, f"the imported TPM {version} has it all")
        told = ctl(lab, "import", "--from", out, "--state",
                   lab.path / f"other-{version}", "--uuid", "new", *secret)
        check(uuid not in told, "and a new uuid if it is to have one", told)
        equal(daemon.stop(), 0, "the vtpmd ends")


def export_under_load(lab):
    """An export of a running TPM is one generation, between what had been
    acknowledged before and what was after."""
    key = lab.path / "export.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    daemon = lab.vtpmd()
    daemon.execute(tpm20.nv_define(INDEX, tpm20.NV_BY_PASSWORD, 8))
    daemon.execute(tpm20.nv_write(INDEX, bytes(8)))
    wrote, stop = [0], threading.Event()

    def write_all_the_time():
        guest = daemon.ring()
        while not stop.is_set():
            data = (wrote[0] + 1).to_bytes(8, "big")
            if tpm20.result(guest.transact(tpm20.nv_write(INDEX, data))) != 0:
                return
            wrote[0] += 1

    writer = threading.Thread(target=write_all_the_time)
    writer.start()
    spans = []
    try:
        for i in range(EXPORTS):
            harness.wait_until(lambda: wrote[0] > 10 * (i + 1), "writes go on")
            before = wrote[0]
            ctl(lab, "export", "--state", daemon.state, "--to",
                lab.path / f"live-{i}", "--key-file", key)
            spans.append((before, wrote[0] + 1))
    finally:
        stop.set()
        writer.join(harness.STEP_S)
    check(spans[-1][0] > spans[0][1], "writes went on meanwhile", spans)
    equal(daemon.stop(), 0, "the vtpmd ends")
    for i, (before, after) in enumerate(spans):
        copy = lab.path / f"live-copy-{i}"
        ctl(lab, "import", "--from", lab.path / f"live-{i}", "--state", copy,
            "--key-file", key)
        serve_copy(lab, daemon, copy)
        found = int.from_bytes(tpm20.nv_data(daemon.execute(
            tpm20.nv_read(INDEX, 8))), "big")
        check(before <= found <= after,
              f"export {i} holds write {found} of {before} to {after}")
        equal(daemon.stop(), 0, "the vtpmd ends")


def chain(count):
    """Returns a SHA-256 PCR after so many extends, each with its number."""
    value = bytes(32)
    for i in range(count):
        value = hashlib.sha256(value + i.to_bytes(32, "big")).digest()
    return value


def volatile_export_under_load(lab):
    """PCRs and NV of an export are those of one instant."""
    key = lab.path / "export.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    daemon = lab.vtpmd()
    daemon.execute(tpm20.nv_define(INDEX, tpm20.NV_BY_PASSWORD, 8))
    daemon.execute(tpm20.nv_write(INDEX, bytes(8)))
    done, stop = [0], threading.Event()

    def extend_and_write():
        guest = daemon.ring()
        while not stop.is_set():
            number = done[0]
            for packet in (
                    tpm20.pcr_extend(10, number.to_bytes(32, "big")),
                    tpm20.nv_write(INDEX, (number + 1).to_bytes(8, "big"))):
                if tpm20.result(guest.transact(packet)) != 0:
                    return
            done[0] += 1

    worker = threading.Thread(target=extend_and_write)
    worker.start()
    spans = []
    try:
        for i in range(EXPORTS):
            harness.wait_until(lambda: done[0] > 10 * (i + 1), "work goes on")
            before = done[0]
            ctl(lab, "export", "--volatile", "--state", daemon.state,
                "--shadow", daemon.shadow, "--to", lab.path / f"live-{i}",
                "--key-file", key)
            spans.append((before, done[0] + 1))
    finally:
        stop.set()
        worker.join(harness.STEP_S)
    equal(daemon.stop(), 0, "the vtpmd ends")
    for i, (before, after) in enumerate(spans):
        daemon.shadow = lab.memory / f"copy-{i}.shadow"
        copy = lab.path / f"live-copy-{i}"
        told = ctl(lab, "import", "--from", lab.path / f"live-{i}", "--state",
                   copy, "--shadow", daemon.shadow, "--key-file", key)
        check("left behind" not in told, "nothing is left behind", told)
        serve_copy(lab, daemon, copy)
        pcr = tpm20.pcr_in(daemon.execute(tpm20.pcr_read(10)))
        written = int.from_bytes(tpm20.nv_data(daemon.execute(
            tpm20.nv_read(INDEX, 8))), "big")
        check(before <= written <= after
              and pcr in (chain(written), chain(written + 1)),
              f"export {i} holds one instant after {before} rounds",
              (spans[i], written, pcr.hex()))
        equal(daemon.stop(), 0, "the vtpmd ends")


def volatile_export(lab):
    """Of a vtpmd that is stopped; and what cannot be."""
    key = lab.path / "export.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    daemon = lab.vtpmd("1.2")
    daemon.execute(tpm12.STARTUP_CLEAR)
    value = tpm12.pcr_in(daemon.execute(tpm12.extend(10, bytes(range(20)))))
    equal(daemon.stop(), 0, "the vtpmd ends")
    origin = ["--state", daemon.state, "--shadow", daemon.shadow]
    ctl(lab, "export", "--volatile", *origin, "--to", lab.path / "export",
        "--key-file", key)
    arguments = ["import", "--from", lab.path / "export", "--key-file", key]
    told = ctl(lab, *arguments, "--state", lab.path / "first", "--shadow",
               daemon.shadow)
    check("there is a shadow" in told, "no shadow is ever replaced", told)
    told = ctl(lab, *arguments, "--state", lab.path / "second", "--shadow",
               lab.path / "shadow")
    check("not on a tmpfs" in told, "none is put on a disk", told)
    daemon.shadow = lab.memory / "copy.shadow"
    ctl(lab, *arguments, "--state", lab.path / "copy", "--shadow",
        daemon.shadow)
    serve_copy(lab, daemon, lab.path / "copy")
    equal(tpm12.pcr_in(daemon.execute(tpm12.pcr_read(10))), value,
          "an imported TPM 1.2 has its PCRs")
    equal(daemon.stop(), 0, "the vtpmd ends")
    daemon.shadow.unlink()
    told = ctl(lab, "export", "--volatile", "--state", daemon.state, "--shadow",
               daemon.shadow, "--to", lab.path / "none", "--key-file", key,
               code=NO_STATE)
    check(not (lab.path / "none").exists(), "without a shadow there is nothing")


class Swtpm:
    """A swtpm on a socket, as a user would have had it."""

    def __init__(self, lab, version, directory, *options):
        if not shutil.which("swtpm"):
            raise harness.Skip("there is no swtpm here")
        self.path = directory
        directory.mkdir(exist_ok=True)
        self.socket = lab.path / "swtpm.socket"
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        self.process = lab.spawn("swtpm", [
            "swtpm", "socket", "--tpmstate", f"dir={directory}",
            "--server", f"type=unixio,path={self.socket}",
            "--ctrl", f"type=unixio,path={self.socket}.ctrl",
            "--flags", "not-need-init", *options,
            *(["--tpm2"] if version == "2.0" else [])])
        harness.wait_until(self.socket.exists, "swtpm listens")
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.settimeout(harness.STEP_S)
        self.stream.connect(str(self.socket))

    def transact(self, packet):
        self.stream.sendall(packet)
        response = self.stream.recv(4096)
        while len(response) < int.from_bytes(response[2:6], "big"):
            response += self.stream.recv(4096)
        return response

    def stop(self):
        self.stream.close()
        self.process.kill()


def import_and_serve(lab, version, directory):
    state = lab.path / f"moved-{version}"
    ctl(lab, "import", "--from-swtpm", directory, "--state", state)
    daemon = lab.vtpmd(version, name=f"host-{version}",
                       options=["--physical-presence"] if version == "1.2"
                       else [])
    equal(daemon.stop(), 0, "a vtpmd makes room")
    serve_copy(lab, daemon, state)
    return daemon


def from_swtpm_20(lab):
    peer = Swtpm(lab, "2.0", lab.path / "swtpm2")
    ask = lambda packet: tpm20.persistent(peer.transact, packet)
    ask(bytes.fromhex("80010000000c000001440000"))
    require(tpm20.result(ask(tpm20.nv_define(
        INDEX, tpm20.NV_BY_PASSWORD, len(SECRET)))) == 0,
            "swtpm has an NV index")
    ask(tpm20.nv_write(INDEX, SECRET))
    made = ask(tpm20.create_primary_ecc())
    handle = tpm20.handle_in(made)
    persist = tpm20.command(0x120, [tpm20.RH_OWNER, handle], [b""],
                            (0x81000001).to_bytes(4, "big"))
    equal(tpm20.result(ask(persist)), 0, "and a persistent key")
    read_public = tpm20.command(0x173, [0x81000001])
    public = ask(read_public)
    ctl(lab, "import", "--from-swtpm", peer.path, "--state",
        lab.path / "early", code=LOCKED)
    peer.stop()
    daemon = import_and_serve(lab, "2.0", peer.path)
    equal(kept_in(daemon), SECRET, "what was in swtpm's NV is in ours")
    equal(daemon.execute(read_public), public, "and so is its key")
    again = daemon.execute(tpm20.create_primary_ecc())
    # Its ticket and handle aside, a primary key comes of the seed alone.
    public_of = lambda packet: packet[22:22 + 90]
    equal(public_of(again), public_of(made), "its seed makes the same keys")
    daemon.restart()
    equal(kept_in(daemon), SECRET, "still after a restart")


def from_swtpm_12(lab):
    peer = Swtpm(lab, "1.2", lab.path / "swtpm1")
    ask = peer.transact
    ask(tpm12.STARTUP_CLEAR)
    for packet in (tpm12.command(0x4000000A, b"\0\x20"),
                   tpm12.command(0x4000000A, b"\0\x08"),
                   tpm12.PHYSICAL_ENABLE, tpm12.ACTIVATE):
        require(tpm12.result(ask(packet)) == 0, "swtpm's TPM 1.2 is prepared",
                packet.hex())
    peer.stop()
    peer = Swtpm(lab, "1.2", lab.path / "swtpm1")
    ask = peer.transact
    ask(tpm12.STARTUP_CLEAR)
    ask(tpm12.command(0x4000000A, b"\0\x20"))
    ask(tpm12.command(0x4000000A, b"\0\x08"))
    # TPM_KEY_PARMS is what stands in the middle of a TPM_KEY.
    parameters = tpm12.rsa_key(0x0010, 3, 1)[11:-12]
    equal(tpm12.result(ask(tpm12.command(0x78, os.urandom(20) + parameters))),
          0, "it has an endorsement key")
    equal(tpm12.result(tpm12.take_ownership(ask)), 0, "its owner is known")
    require(tpm12.result(ask(tpm12.nv_define(
        0x20, tpm12.NV_PPWRITE, len(SECRET)))) == 0, "it has an NV area")
    equal(tpm12.result(ask(tpm12.nv_write(0x20, SECRET))), 0, "with content")
    peer.stop()
    daemon = import_and_serve(lab, "1.2", peer.path)
    equal(kept_in(daemon), SECRET, "what was in swtpm's NV is in ours")
    guest = daemon.ring()
    equal(tpm12.result(guest.transact(tpm12.create_wrap_key(guest.transact))),
          0, "its storage root key wraps keys under the known secret")


def not_from_swtpm(lab):
    key = lab.path / "hex.key"
    key.write_text("00112233445566778899aabbccddeeff")
    peer = Swtpm(lab, "2.0", lab.path / "locked", "--key", f"file={key}")
    peer.transact(bytes.fromhex("80010000000c000001440000"))
    peer.stop()
    state = lab.path / "none"
    told = ctl(lab, "import", "--from-swtpm", peer.path, "--state", state,
               code=UNUSABLE)
    check("encrypted" in told, "an encrypted state is called that", told)
    plain = lab.path / "plain"
    plain.mkdir()
    told = ctl(lab, "import", "--from-swtpm", plain, "--state", state,
               code=NO_STATE)
    garbage = bytes(200)
    (plain / "tpm2-00.permall").write_bytes(
        b"\2\1\0\x0a\0\0" + (216).to_bytes(4, "big") + b"\0\1"
        + len(garbage).to_bytes(4, "big") + garbage)
    told = ctl(lab, "import", "--from-swtpm", plain, "--state", state,
               code=ENGINE)
    check(not state.exists(), "what the TPM does not take makes no state")


if __name__ == "__main__":
    harness.main(looked_at, refused_states, export_and_import,
                 export_under_load, volatile_export_under_load,
                 volatile_export, from_swtpm_20, from_swtpm_12,
                 not_from_swtpm)
