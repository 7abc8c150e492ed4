"""Runs the real programs in a directory of their own, and counts checks.

A test script is a few cases, functions of one `Lab`, and a call of `main`.
Every check prints one line, "ok - ..." or "not ok - ...", a case that cannot
run here "ok - ... # SKIP why". Nothing waits without a limit, and whatever a
case has started ends with it.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import ring

# How long one step may take: far beyond what it needs, sanitizers included.
STEP_S = 60

# How long a whole case may take.
CASE_S = 280

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

# What sanitizers and assertions write before they end a process.
SIGNS_OF_BUGS = ("Sanitizer", "runtime error:", "Assertion", "actor has failed")


class Skip(Exception):
    """This machine cannot run the case."""


class Failed(Exception):
    """Without this the rest of the case makes no sense."""


class Timeout(Exception):
    """A case took too long."""


class Counter:
    """What the checks came to."""

    def __init__(self):
        self.failed = 0

    def check(self, holds, sentence, detail=""):
        """Prints one line on whether `sentence` holds. Returns whether."""
        print(f"{'ok' if holds else 'not ok'} - {sentence}", flush=True)
        if not holds:
            self.failed += 1
            for line in str(detail).splitlines():
                print(f"#   {line}", flush=True)
        return holds


COUNTER = Counter()


def check(holds, sentence, detail=""):
    """Counts a check; the case goes on."""
    return COUNTER.check(bool(holds), sentence, detail)


def skip(sentence, why):
    """Counts a check that cannot be made here."""
    print(f"ok - {sentence} # SKIP {why}", flush=True)


def equal(got, wanted, sentence):
    """Counts a check that two values are the same."""
    return check(got == wanted, sentence, f"got {got!r}, wanted {wanted!r}")


def require(holds, sentence, detail=""):
    """Counts a check; ends the case unless it holds."""
    if not check(holds, sentence, detail):
        raise Failed(sentence)


def wait_until(condition, what, limit=STEP_S):
    """Waits for a condition that nothing announces."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {limit} s: {what}")
        time.sleep(0.01)


def free_port():
    """Returns a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    """In a child: ends it even if the test is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program in the background, its output in a log."""

    def __init__(self, name, arguments, log_path, environment=None):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=die_with_parent,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, limit=STEP_S):
        """Returns the exit code; negative for a signal."""
        return self.popen.wait(timeout=limit)

    def kill(self):
        """Ends it at once, as a crash would."""
        if self.alive():
            self.popen.kill()
        self.popen.wait(timeout=STEP_S)

    def descriptors(self):
        """Returns how many files it has open; nothing if only root may know,
        as of a process that does not want to be looked into."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return None


class Vtpmd:
    """One vtpmd and its files; may be started again."""

    def __init__(self, lab, name, tpm, options, state=None):
        self.lab = lab
        self.name = name
        self.tpm = tpm
        self.options = options
        self.state = state or lab.path / f"{name}.state"
        self.key = lab.path / f"{name}.state.key"
        self.socket = lab.path / f"{name}.ring"
        self.control = lab.path / f"{name}.control"
        self.notify = lab.path / f"{name}.notify"
        self.shadow = lab.memory / f"{name}.shadow"
        self.process = None
        self.start(["--create", "--tpm", tpm])

    def start(self, more=()):
        """Starts it and waits until it serves."""
        with contextlib.suppress(FileNotFoundError):
            self.notify.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(self.notify))
            ready.settimeout(0.1)
            options = [*more, *self.options]
            if "--shadow" not in options:
                options += ["--shadow", self.shadow]
            self.process = self.lab.spawn(
                self.name,
                [self.lab.program("vtpmd"), "--state", self.state,
                 "--key", self.key, "--listen", self.socket,
                 "--control", self.control, "--log-level", "debug", *options],
                {"NOTIFY_SOCKET": str(self.notify)})
            deadline = time.monotonic() + STEP_S
            while True:
                try:
                    if b"READY=1" in ready.recv(4096):
                        return
                except socket.timeout:
                    pass
                if not self.process.alive():
                    raise Failed(f"{self.name} ended: {self.process.log()}")
                if time.monotonic() > deadline:
                    raise Failed(f"{self.name} does not get ready")

    def stop(self):
        """Ends it in order. Returns its exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait()

    def kill(self):
        """kill -9."""
        self.process.kill()

    def restart(self):
        """Ends it in order and starts it again."""
        equal(self.stop(), 0, f"{self.name} ends with 0 on SIGTERM")
        self.start()

    def ctl(self, *arguments, code=0):
        """Runs vtpmctl on it. Returns what it printed."""
        done = self.lab.run(
            self.lab.program("vtpmctl"), "--control", self.control, *arguments)
        if done.returncode != code:
            raise Failed(f"vtpmctl {' '.join(arguments)} ended with "
                         f"{done.returncode}: {done.stderr}")
        return done.stdout

    def stats(self):
        return json.loads(self.ctl("stats", "--json"))

    def ring(self, domid=1, handle=0, uuid=ring.NO_UUID):
        """Connects a frontend of our own."""
        made = ring.Ring(str(self.socket), domid, handle, uuid)
        self.lab.exit.callback(made.close)
        made.connect()
        return made

    def front(self, *arguments):
        """Returns the command line of a vtpm-front."""
        return [str(a) for a in (self.lab.program("vtpm-front"), "--connect",
                                 self.socket, *arguments)]

    def execute(self, command, *arguments):
        """Runs one command through vtpm-front --exec. Returns the response."""
        done = self.lab.run(*self.front("--exec", command.hex(), *arguments))
        if done.returncode != 0:
            raise Failed(f"vtpm-front --exec ended with {done.returncode}: "
                         f"{done.stderr}")
        return bytes.fromhex(done.stdout.strip())


class Lab:
    """A directory and everything that runs in it."""

    def __init__(self, programs, keep):
        self.programs = programs
        self.keep = keep
        self.exit = contextlib.ExitStack()
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="vtpm-e2e-"))
        # Programs that change their user must reach what is theirs.
        self.path.chmod(0o711)
        self.memory = pathlib.Path(
            tempfile.mkdtemp(prefix="vtpm-e2e-", dir="/dev/shm"))
        self.processes = []
        self.daemons = []

    def program(self, name):
        return self.programs / name

    def spawn(self, name, arguments, environment=None):
        process = Process(name, arguments, self.path / f"{name}.log",
                          environment)
        self.processes.append(process)
        return process

    def run(self, *arguments, environment=None):
        """Runs a program to its end."""
        return subprocess.run(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="replace",
            timeout=STEP_S, cwd=self.path, check=False,
            env={**os.environ, **(environment or {})})

    def vtpmd(self, tpm="2.0", name="vtpmd", options=(), state=None):
        """Makes a new TPM, on a path of its own or the one given, and serves
        it."""
        made = Vtpmd(self, name, tpm, [str(o) for o in options], state)
        self.daemons.append(made)
        return made

    def listen(self, daemon, *arguments, name="front"):
        """Starts a vtpm-front on a free TCP port. Returns both."""
        port = free_port()
        process = self.spawn(name, daemon.front(
            "--listen", f"127.0.0.1:{port}", *arguments))

        def answers():
            if not process.alive():
                raise Failed(f"{name} ended: {process.log()}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers, f"{name} listens")
        return process, port

    def end_daemons(self):
        """Ends every vtpmd that still runs, and looks for traces of bugs."""
        for daemon in self.daemons:
            if daemon.process.alive():
                code = daemon.stop()
                equal(code, 0, f"{daemon.name} ends with 0 after all of this")
        logs = [(p.name, line) for p in self.processes
                for line in p.log().splitlines()
                if any(sign in line for sign in SIGNS_OF_BUGS)]
        check(not logs, "no log shows a sign of a bug", logs)

    def dump_logs(self):
        for path in sorted({p.log_path for p in self.processes}):
            lines = path.read_text(errors="replace").splitlines()
            print(f"# --- {path.name}, the last of {len(lines)} lines")
            for line in lines[-40:]:
                print(f"#   {line}")

    def close(self):
        with contextlib.suppress(OSError):
            self.exit.close()
        for process in reversed(self.processes):
            process.kill()
        if self.keep:
            print(f"# kept {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            shutil.rmtree(self.memory, ignore_errors=True)


def run_case(case, arguments):
    """Runs one case; what it throws is one more failed check."""
    name = case.__name__.replace("_", " ")
    print(f"# {name}", flush=True)
    lab = Lab(arguments.bin, arguments.keep)
    failed_before = COUNTER.failed
    signal.alarm(CASE_S)
    try:
        case(lab)
        lab.end_daemons()
    except Skip as why:
        skip(name, why)
    except Failed as why:
        check(False, f"{name}: {why}")
    except Exception:  # pylint: disable=broad-except
        check(False, f"{name} runs to its end", traceback.format_exc())
    finally:
        signal.alarm(0)
        if COUNTER.failed > failed_before:
            lab.dump_logs()
        lab.close()


def on_alarm(_number, _frame):
    raise Timeout(f"a case took more than {CASE_S} s")


def on_termination(number, _frame):
    sys.exit(128 + number)


def main(*cases):
    """Runs the cases that the command line names, or all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True,
                        help="directory of vtpmd, vtpm-front and vtpmctl")
    parser.add_argument("--keep", action="store_true",
                        help="leave the files of every case behind")
    parser.add_argument("case", nargs="*", help="names of cases [all]")
    arguments = parser.parse_args()
    arguments.bin = arguments.bin.resolve()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_termination)
    known = {case.__name__: case for case in cases}
    unknown = set(arguments.case) - set(known)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    for name in arguments.case or known:
        run_case(known[name], arguments)
    sys.exit(1 if COUNTER.failed else 0)
