"""One emulated machine that boots Xen, and what it reports."""

import ctypes
import os
import queue
import signal
import subprocess
import threading
import time

QEMU = "qemu-system-x86_64"

# A boot with all of its scenarios. Far beyond what it needs: software emulation
# on a machine that does something else at the same time.
BOOT_S = 3000

# Without a line from dom0 for so long, it hangs.
SILENCE_S = 900

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Hangs(Exception):
    """The machine does not go on."""


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
    """Runs until dom0 has powered it off, or is killed."""

    def __init__(self, images, log, scenarios, cpu):
        arguments = command_line(images, log, scenarios, cpu)
        self.process = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent)
        self.deadline = time.monotonic() + BOOT_S
        self.received = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.received.put(line.decode(errors="replace").rstrip())
        self.received.put(None)

    def lines(self):
        """Yields what dom0 reports, to its end."""
        while True:
            left = self.deadline - time.monotonic()
            try:
                line = self.received.get(timeout=max(0, min(left, SILENCE_S)))
            except queue.Empty:
                raise Hangs(f"nothing was reported for {SILENCE_S} s, or the "
                            f"boot took {BOOT_S} s") from None
            if line is None:
                return
            yield line

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
