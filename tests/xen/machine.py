"""One emulated machine that boots Xen, and what it reports."""

import ctypes
import os
import queue
import signal
import subprocess
import threading
import time

QEMU = "qemu-system-x86_64"

# One scenario, or the boot. Far beyond what it needs: software emulation on a
# machine that does something else at the same time.
SCENARIO_S = 900

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Hangs(Exception):
    """The machine does not go on, or takes too long."""


def command_line(images, log, scenarios, cpu):
    """QEMU's arguments. Its emulation knows no Xen: dom0 is a module of a
    multiboot kernel. -cpu max has SMAP, which crashes a PV dom0 there."""
    linux = ("console=hvc0 earlyprintk=xen rdinit=/init panic=5 "
             f"scenarios={':'.join(scenarios)}")
    return [
        QEMU, "-accel", "tcg,thread=multi", "-M", "pc", "-cpu", cpu,
        "-smp", "1", "-m", "4096", "-nographic", "-nodefaults", "-no-reboot",
        "-monitor", "none",
        # Xen's console, and the results.
        "-serial", f"file:{log}", "-serial", "stdio",
        "-kernel", images / "xen", "-append",
        "console=com1 com1=115200,8n1 loglvl=info guest_loglvl=info "
        "dom0_mem=1280M,max:1280M dom0_max_vcpus=1",
        "-initrd",
        f"{images / 'vmlinux'} {linux},{images / 'dom0.cpio'}"]


class Machine:
    """Runs until dom0 has powered it off, or is killed. `run_ends` is when the
    whole run has to have ended, on the monotonic clock."""

    def __init__(self, images, log, scenarios, cpu, run_ends):
        arguments = command_line(images, log, scenarios, cpu)
        self.process = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent)
        self.run_ends = run_ends
        self.received = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.received.put(line.decode(errors="replace").rstrip())
        self.received.put(None)

    def lines(self):
        """Yields what dom0 reports, to its end."""
        scenario_ends = time.monotonic() + SCENARIO_S
        while True:
            left = min(scenario_ends, self.run_ends) - time.monotonic()
            try:
                line = self.received.get(timeout=max(0, left))
            except queue.Empty:
                if time.monotonic() >= self.run_ends:
                    raise Hangs("the whole run takes too long") from None
                raise Hangs(f"it takes more than {SCENARIO_S} s") from None
            if line is None:
                return
            if line.startswith("@ scenario"):
                scenario_ends = time.monotonic() + SCENARIO_S
            yield line

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
