#!/usr/bin/env python3
"""Command lines, exit codes, and what is said to the operator."""

import base64
import re
import socket

import harness
import ring
import tpm20
from harness import check, equal

# What vtpmd exits with (deploy/vtpmd/start_problem.hpp).
USAGE, NO_CONNECTION = 2, 3
LOCKED, NO_STATE, NOT_A_STATE, WRONG_KEY = 10, 11, 12, 13
OTHER_VERSION = 16

PROGRAMS = ("vtpmd", "vtpm-front", "vtpmctl")


def complaint(done, code, what):
    """Counts a check of an exit code and of one line that explains it."""
    text = done.stderr + done.stdout
    equal((done.returncode, text.count("\n")), (code, 1),
          f"{what}: exit {code} and one line") or print(f"#   {text}")


def help_and_version(lab):
    for name in PROGRAMS:
        program = lab.program(name)
        done = lab.run(program, "--help")
        equal(done.returncode, 0, f"{name} --help succeeds")
        check(len(done.stdout.splitlines()) > 10 and not done.stderr,
              f"{name} --help explains itself on standard output")
        done = lab.run(program, "--version")
        check(done.returncode == 0
              and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", done.stdout),
              f"{name} --version says name and version", done.stdout)
        for bad in (["--no-such-option"], []):
            complaint(lab.run(program, *bad), USAGE,
                      f"{name} {' '.join(bad) or 'without arguments'}")


def bad_values(lab):
    base = ["--state", "s", "--listen", "l"]
    for bad in (["--tpm", "3.0"], ["--create"], ["--uuid", "x"],
                ["--create", "--tpm", "2.0", "--uuid", "x"],
                ["--create", "--tpm", "1.2", "--pcr-banks", "sha1"],
                ["--create", "--tpm", "2.0", "--pcr-banks", "md5"],
                ["--locality", "domid=3:9"], ["--locality", "nonsense"],
                ["--claim", "domid=3"], ["--poll-us", "-1"],
                ["--log-level", "loud"], ["--committer", "pigeon"],
                ["--config", "/nonexistent"],
                ["--tpm", "2.0", "--startup", "deactivated"]):
        complaint(lab.run(lab.program("vtpmd"), *base, *bad), USAGE,
                  f"vtpmd {' '.join(bad)}")
    for bad in (["--stdio", "--exec", "00"], ["--exec", "80"],
                ["--exec", "xyz"], ["--stdio", "--locality", "256"],
                ["--stdio", "--uuid", "x"]):
        complaint(lab.run(lab.program("vtpm-front"), "--connect", "l", *bad),
                  USAGE, f"vtpm-front {' '.join(bad)}")
    for bad in (["juggle"], ["stats", "--domid", "1"],
                ["--connect", "x", "shutdown"], ["--ring", "x", "stats"], ["create", "--state", "x"]):
        complaint(lab.run(lab.program("vtpmctl"), *bad), USAGE,
                  f"vtpmctl {' '.join(bad)}")


def nobody_answers(lab):
    nowhere = lab.path / "nowhere"
    complaint(lab.run(lab.program("vtpmctl"), "--control", nowhere, "status"),
              NO_CONNECTION, "vtpmctl with nobody there")
    complaint(lab.run(lab.program("vtpm-front"), "--connect", nowhere,
                      "--exec", tpm20.get_random().hex()),
              NO_CONNECTION, "vtpm-front with nobody there")


def start_again(lab, state, *more):
    """Runs a vtpmd that is not expected to come up."""
    return lab.run(lab.program("vtpmd"), "--state", state, "--listen",
                   lab.path / "other.ring", "--control",
                   lab.path / "other.control", "--log-level", "error", *more)


def states_that_cannot_be_opened(lab):
    missing = lab.path / "missing"
    complaint(start_again(lab, missing), NO_STATE, "no state")
    check(not missing.exists(), "and none is made")
    garbage = lab.path / "garbage"
    garbage.write_bytes(b"\x5a" * (1 << 20))
    daemon = lab.vtpmd()
    complaint(start_again(lab, daemon.state), LOCKED,
              "a state that another vtpmd has")
    complaint(start_again(lab, garbage, "--key", daemon.key), NOT_A_STATE,
              "a file that is no state")
    equal(garbage.read_bytes(), b"\x5a" * (1 << 20), "which stays as it is")
    equal(daemon.stop(), 0, "the vtpmd that had the state ends")
    complaint(start_again(lab, daemon.state, "--tpm", "1.2"), OTHER_VERSION,
              "a state of the other version")
    before = daemon.state.read_bytes()
    done = start_again(lab, daemon.state, "--create", "--tpm", "2.0")
    equal((done.returncode != 0, done.stderr.count("\n")), (True, 1),
          "--create on an existing state: refused in one line")
    equal(daemon.state.read_bytes(), before, "which stays as it is")
    lab.run(lab.program("vtpmctl"), "create", "--tpm", "2.0", "--state",
            lab.path / "second")
    complaint(start_again(lab, daemon.state, "--key",
                          lab.path / "second.key"), WRONG_KEY,
              "another TPM's key")
    daemon.start()
    equal(len(daemon.execute(tpm20.get_random())), 28,
          "none of that did the state any harm")


def files_are_private(lab):
    daemon = lab.vtpmd()
    for path, wanted in ((daemon.state, 0o600), (daemon.key, 0o600),
                         (daemon.control, 0o600), (daemon.socket, 0o660)):
        equal(oct(path.stat().st_mode & 0o777), oct(wanted),
              f"{path.suffix} has mode {wanted:o}")


def config_file(lab):
    config = lab.path / "vtpmd.toml"
    config.write_text('locality = ["domid=2:0,1", "domid=3:0,2"]\n'
                      "poll-us = 0\n")
    daemon = lab.vtpmd(options=["--config", config])
    random = tpm20.get_random()
    codes = [tpm20.result(daemon.execute(random, "--domid", domid,
                                         "--locality", locality))
             for domid, locality in ((2, 1), (3, 2), (2, 2), (3, 1))]
    equal(codes, [0, 0, tpm20.RC_LOCALITY, tpm20.RC_LOCALITY],
          "rules of a config file hold")
    config.write_text("no-such-option = 1\n")
    complaint(lab.run(lab.program("vtpmd"), "--state", "s", "--listen", "l",
                      "--config", config), USAGE, "a bad name in it")


def forms_of(octets):
    """Returns the texts that octets might show up as."""
    yield from (octets.hex(), octets.hex().upper(), octets.hex(" "),
                octets.decode("latin-1"))
    # Of base64 what does not depend on the neighbours, at every alignment.
    for shift in range(3):
        size = (len(octets) - shift) // 3 * 3
        yield base64.b64encode(octets[shift:shift + size]).decode()


def no_secrets_are_shown(lab):
    daemon = lab.vtpmd()
    guest = daemon.ring()
    password, data = b"open sesame 4711", b"what nobody should read"
    index = 0x1500040
    attributes = tpm20.NV_BY_PASSWORD
    guest.transact(tpm20.nv_define(index, attributes, len(data), password))
    equal(tpm20.result(guest.transact(tpm20.nv_write(index, data, password))),
          0, "a secret is written under a password")
    guest.transact(tpm20.nv_read(index, len(data), password))
    said = {"the debug log": daemon.process.log()}
    check("NV_Write" in said["the debug log"],
          "the debug log names the command", said["the debug log"])
    for request in ("status", "frontends", "stats"):
        said[f"vtpmctl {request}"] = (daemon.ctl(request)
                                      + daemon.ctl(request, "--json"))
    inspect = (lab.program("vtpmctl"), "inspect", daemon.state, "--key",
               daemon.key)
    said["vtpmctl inspect"] = (lab.run(*inspect).stdout
                               + lab.run(*inspect, "--json").stdout)
    key = daemon.key.read_bytes()
    # Behind the first sector's frame. Sealed it is no secret, but has no
    # business there.
    state = daemon.state.read_bytes()
    secrets = [password, data]
    secrets += [octets[i:i + 8] for octets in (key, state[56:508])
                for i in range(0, len(octets) - 8, 4)
                if len(set(octets[i:i + 8])) > 4]
    for name, text in said.items():
        shown = [s for s in secrets for form in forms_of(s) if form in text]
        equal(shown, [], f"{name} shows neither password, data, key nor state")


def control_socket(lab):
    daemon = lab.vtpmd()
    for text, what in ((b"nonsense\n", "nonsense"), (b"{}\n", "no request"),
                       (b'{"request":"dance"}\n', "an unknown request"),
                       (b"x" * 5000 + b"\n", "a request too long")):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(harness.STEP_S)
            client.connect(str(daemon.control))
            try:
                client.sendall(text)
                reply = client.recv(4096)
            except ConnectionError:
                reply = b""
        check(b"error" in reply or not reply, f"{what} is refused", reply)
    for request in ("status", "frontends", "stats"):
        check(daemon.ctl(request).strip(), f"vtpmctl {request} prints a table")
        check(daemon.ctl(request, "--json").startswith("{"),
              f"vtpmctl {request} --json prints JSON")
    second = lab.run(lab.program("vtpmd"), "--create", "--tpm", "2.0",
                     "--state", lab.path / "second", "--listen",
                     daemon.socket, "--control", lab.path / "second.control",
                     "--shadow", "off", "--log-level", "error")
    complaint(second, 1, "a vtpmd whose socket another one has")
    made = ring.Ring(str(daemon.socket), 8)
    made.connect()
    equal(len(made.transact(tpm20.get_random())), 28,
          "the one that has it goes on")
    made.close()


if __name__ == "__main__":
    harness.main(help_and_version, bad_values, nobody_answers,
                 states_that_cannot_be_opened, files_are_private, config_file,
                 no_secrets_are_shown, control_socket)
