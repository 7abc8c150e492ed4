#!/usr/bin/env python3
"""TrouSerS and tpm-tools work on a TPM 1.2 behind a ring, over restarts too."""

import os
import pty
import select
import shutil
import signal
import termios
import time

import harness
import tpm12
from harness import check, equal, require


def require_stack():
    """Skips the case where TrouSerS cannot run."""
    if not shutil.which("tcsd") and not os.path.exists("/usr/sbin/tcsd"):
        raise harness.Skip("trousers is not installed")
    if not shutil.which("tpm_version"):
        raise harness.Skip("tpm-tools are not installed")
    if os.geteuid() != 0:
        raise harness.Skip("tcsd insists on a configuration owned by root")


class Stack:
    """tcsd on a vtpm-front's TCP port, as on a real TPM's device."""

    def __init__(self, lab, daemon):
        self.lab = lab
        self.tcsd = None
        _, self.device_port = lab.listen(daemon)
        self.port = harness.free_port()
        store = lab.path / "tcsd"
        store.mkdir(mode=0o700)
        shutil.chown(store, "tss", "tss")
        self.config = lab.path / "tcsd.conf"
        self.config.write_text(f"port = {self.port}\n"
                               f"system_ps_file = {store}/system.data\n")
        self.config.chmod(0o640)
        shutil.chown(self.config, "root", "tss")
        self.environment = {"TSS_TCSD_PORT": str(self.port),
                            "TSS_USER_PS_FILE": str(lab.path / "user.data")}
        self.start()

    def start(self):
        self.tcsd = self.lab.spawn(
            "tcsd", ["/usr/sbin/tcsd", "-e", "-f", "-c", self.config],
            {"TCSD_USE_TCP_DEVICE": "1",
             "TCSD_TCP_DEVICE_HOSTNAME": "127.0.0.1",
             "TCSD_TCP_DEVICE_PORT": str(self.device_port),
             "TCSD_UN_SOCKET_DEVICE_PATH": "/nonexistent"})
        harness.wait_until(self.answers, "tcsd listens")

    def answers(self):
        if not self.tcsd.alive():
            raise harness.Failed(f"tcsd ended: {self.tcsd.log()}")
        return self.run("version").returncode == 0

    def restart(self):
        """tcsd keeps sessions and keys of the TPM that it knew."""
        self.tcsd.kill()
        self.start()

    def run(self, tool, *arguments):
        return self.lab.run(f"tpm_{tool}", *arguments,
                            environment=self.environment)

    def works(self, tool, *arguments, what=None):
        """Counts a check that a tool succeeds. Returns its output."""
        done = self.run(tool, *arguments)
        require(done.returncode == 0, what or f"tpm_{tool} works",
                done.stdout + done.stderr)
        return done.stdout

    def refused(self, tool, *arguments, what):
        """Counts a check that a tool fails."""
        done = self.run(tool, *arguments)
        check(done.returncode != 0, what, done.stdout)

    def type_in(self, tool, *arguments, answers):
        """Runs a tool that asks for passwords on its terminal. Returns its
        exit code and what the terminal showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(self.environment)
            os.execvp(f"tpm_{tool}", [f"tpm_{tool}", *arguments])
        shown, answers = "", list(answers)
        deadline = time.monotonic() + harness.STEP_S
        while time.monotonic() < deadline:
            # What is typed before the tool has turned echoing off is lost.
            hidden = not termios.tcgetattr(terminal)[3] & termios.ECHO
            if answers and hidden and shown.endswith(": "):
                os.write(terminal, answers.pop(0).encode() + b"\n")
                shown += "\n"
            if not select.select([terminal], [], [], 0.02)[0]:
                continue
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def start_up(daemon):
    """Does what a guest's firmware does."""
    equal(tpm12.result(daemon.execute(tpm12.STARTUP_CLEAR, "--domid", "7")), 0,
          "TPM_Startup(ST_CLEAR) succeeds")


def make_stack(lab, *options):
    require_stack()
    daemon = lab.vtpmd("1.2", options=options)
    start_up(daemon)
    return daemon, Stack(lab, daemon)


def ownership(lab):
    _, stack = make_stack(lab)
    check("1.2" in stack.works("version"), "tpm_version says 1.2")
    stack.works("selftest")
    stack.works("getpubek")
    stack.works("takeownership", "-y", "-z")
    stack.refused("takeownership", "-y", "-z",
                  what="a TPM that has an owner gets no other")
    stack.works("getpubek", "-z", what="tpm_getpubek works for the owner")
    status = stack.works("setenable", "-s", "-z")
    check("status: false" in status, "the TPM is enabled", status)
    stack.works("setenable", "-d", "-z", what="tpm_setenable disables it")
    stack.refused("setenable", "-s", "-z",
                  what="a disabled TPM does not even tell its status")
    stack.works("setenable", "-e", "-z", what="tpm_setenable enables it again")


def owner_secret(lab):
    _, stack = make_stack(lab)
    stack.works("takeownership", "-y", "-z")
    code, shown = stack.type_in("changeownerauth", "-z", "-o",
                                answers=["new secret", "new secret"])
    equal(code, 0, "tpm_changeownerauth sets a password")
    check("new secret" not in shown, "without showing it", shown)
    stack.refused("setenable", "-s", "-z",
                  what="the old owner secret is no longer good")
    code, _ = stack.type_in("setenable", "-s", answers=["new secret"])
    equal(code, 0, "the new one is")
    code, _ = stack.type_in("changeownerauth", "-r", "-o",
                            answers=["new secret"])
    equal(code, 0, "tpm_changeownerauth sets the well-known secret")
    stack.works("setenable", "-s", "-z",
                what="and the well-known secret is good again")


def clearing(lab):
    daemon, stack = make_stack(lab, "--physical-presence")
    stack.works("takeownership", "-y", "-z")
    stack.works("clear", "-z")
    stack.refused("getpubek", "-z", what="a cleared TPM has no owner")
    # TPM_OwnerClear leaves the TPM disabled and deactivated (Part 3, 6.2);
    # only who is physically present can undo that, and a reset activates it.
    for what, request in (("TPM_PhysicalEnable", tpm12.PHYSICAL_ENABLE),
                          ("TPM_PhysicalSetDeactivated", tpm12.ACTIVATE)):
        response = daemon.execute(request, "--domid", "7")
        equal(tpm12.result(response), 0, f"{what} succeeds after the clear")
    daemon.ctl("reset")
    start_up(daemon)
    stack.restart()
    stack.works("takeownership", "-y", "-z",
                what="then it takes an owner again")


def nv_memory(lab):
    _, stack = make_stack(lab)
    stack.works("takeownership", "-y", "-z")
    index = ["-i", "0x10"]
    stack.works("nvdefine", *index, "-s", "16", "-p", "OWNERREAD|OWNERWRITE",
                "-y")
    stack.works("nvwrite", *index, "-d", "sixteen octets..", "-z")
    out = lab.path / "out"
    stack.works("nvread", *index, "-s", "16", "-f", out, "-z")
    equal(out.read_text(), "sixteen octets..",
          "tpm_nvread returns what tpm_nvwrite wrote")
    stack.refused("nvwrite", *index, "-d", "sixteen octets!!",
                  what="nobody but the owner writes an OWNERWRITE area")
    stack.refused("nvread", *index, "-s", "16",
                  what="nobody but the owner reads an OWNERREAD area")
    check("0x00000010" in stack.works("nvinfo"), "tpm_nvinfo lists the area")
    stack.works("nvrelease", *index, "-y")
    check("0x00000010" not in stack.works("nvinfo"),
          "tpm_nvinfo does not list it any more")


def sealing(lab):
    daemon, stack = make_stack(lab)
    stack.works("takeownership", "-y", "-z")
    clear = lab.path / "clear"
    clear.write_text("for this TPM only")
    for pcrs, name in (([], "sealed"), (["-p", "16"], "sealed-16")):
        sealed, out = lab.path / name, lab.path / f"{name}.out"
        stack.works("sealdata", "-z", *pcrs, "-i", clear, "-o", sealed,
                    what=' '.join(["tpm_sealdata works", *pcrs]))
        stack.works("unsealdata", "-z", "-i", sealed, "-o", out)
        equal(out.read_text(), clear.read_text(),
              "tpm_unsealdata returns the secret")
    response = daemon.execute(tpm12.extend(16, b"\xcd" * 20), "--domid", "7")
    equal(tpm12.result(response), 0, "PCR 16 is extended")
    stack.refused("unsealdata", "-z", "-i", lab.path / "sealed-16",
                  what="what is sealed to it stays sealed then")
    stack.works("unsealdata", "-z", "-i", lab.path / "sealed",
                what="what is sealed to no PCR does not")


def restarts(lab):
    """With no shadow the TPM starts afresh; shadow_test.py has the other."""
    daemon, stack = make_stack(lab, "--shadow", "off")
    stack.works("takeownership", "-y", "-z")
    index = ["-i", "0x10"]
    stack.works("nvdefine", *index, "-s", "4", "-p", "OWNERREAD|OWNERWRITE",
                "-y")
    stack.works("nvwrite", *index, "-d", "kept", "-z")
    clear, sealed = lab.path / "clear", lab.path / "sealed"
    clear.write_text("for this TPM only")
    stack.works("sealdata", "-z", "-i", clear, "-o", sealed)
    for how, end in (("an orderly restart", daemon.stop),
                     ("kill -9", daemon.kill)):
        end()
        daemon.start()
        start_up(daemon)
        stack.restart()
        stack.refused("takeownership", "-y", "-z",
                      what=f"the owner survives {how}")
        out = lab.path / "out"
        stack.works("nvread", *index, "-s", "4", "-f", out, "-z")
        equal(out.read_text(), "kept", f"NV memory survives {how}")
        stack.works("unsealdata", "-z", "-i", sealed, "-o", out)
        equal(out.read_text(), clear.read_text(),
              f"what is sealed can be unsealed after {how}")


if __name__ == "__main__":
    harness.main(ownership, owner_secret, clearing, nv_memory, sealing,
                 restarts)
