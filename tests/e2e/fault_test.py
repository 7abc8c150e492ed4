#!/usr/bin/env python3
"""Storage that fails under a running vtpmd, and what the operator can do.

A limit on the size of files makes the kernel refuse vtpmd's writes, and lets
them pass again, while it runs.
"""

import hashlib
import json
import resource

import harness
import ring
import tpm20
from harness import check, equal, require

INDEX = 0x1500030
PCR = 16
DIGEST = hashlib.sha256(b"measurement").digest()
EXTENDED = hashlib.sha256(bytes(32) + DIGEST).digest()

# What `restart` and `abandon` end with.
EXIT_RESTART = 23


class Patient:
    """A vtpmd whose storage can be made to fail."""

    def __init__(self, lab):
        self.daemon = lab.vtpmd(options=["--commit-retry-limit", "1"])
        self.guest = self.daemon.ring()
        response = self.guest.transact(tpm20.nv_define(
            INDEX, tpm20.NV_BY_PASSWORD | tpm20.NV_COUNTER, 8))
        require(tpm20.result(response) == 0, "a counter is defined")
        self.guest.transact(tpm20.nv_increment(INDEX))
        self.first = self.counter()
        self.guest.transact(tpm20.pcr_extend(PCR, DIGEST))

    def writes(self, allowed):
        """Has the kernel refuse every write to a file, or allow it."""
        pid = self.daemon.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE,
                         (hard if allowed else 0, hard))

    def counter(self):
        return tpm20.counter_in(self.guest.transact(tpm20.nv_read(INDEX, 8)))

    def pcr(self):
        return tpm20.pcr_in(self.guest.transact(tpm20.pcr_read(PCR)))

    def commits(self):
        return json.loads(self.daemon.ctl("status", "--json"))["commits"]

    def fail_stop(self):
        """Increments the counter with failing storage, until vtpmd stops."""
        self.writes(False)
        self.guest.submit(0, tpm20.nv_increment(INDEX))
        harness.wait_until(lambda: self.commits()["failing"],
                           "status says that commits fail")
        equal(self.guest.state, ring.SUBMIT,
              "no response leaves while they do")
        equal(tpm20.result(self.guest.wait()), tpm20.RC_FAILURE,
              "past the limit the outcome is unknown")
        check(self.commits()["stopped"], "status says that the TPM stopped")
        response = self.guest.transact(tpm20.get_random(8))
        equal(tpm20.result(response), tpm20.RC_FAILURE,
              "and no more commands are run")


def resume(lab):
    patient = Patient(lab)
    patient.daemon.ctl("resume", code=1)
    patient.fail_stop()
    patient.writes(True)
    patient.daemon.ctl("resume")
    harness.wait_until(lambda: not patient.commits()["stopped"],
                       "commits work again")
    equal((patient.counter(), patient.pcr()), (patient.first + 1, EXTENDED),
          "after a resume nothing is rolled back")


def restart_instead(lab):
    patient = Patient(lab)
    patient.fail_stop()
    patient.daemon.kill()
    patient.daemon.start()
    patient.guest.reconnect()
    equal((patient.counter(), patient.pcr()), (patient.first + 1, EXTENDED),
          "a restart commits the same state first")


def abandon(lab):
    patient = Patient(lab)
    patient.daemon.ctl("abandon", code=1)
    patient.fail_stop()
    patient.daemon.ctl("abandon")
    equal(patient.daemon.process.wait(), EXIT_RESTART,
          "abandon ends vtpmd, to be started again")
    patient.daemon.start()
    patient.guest.reconnect()
    equal((patient.counter(), patient.pcr()), (patient.first, bytes(32)),
          "what was stored last is there, after a TPM reset")


def restart_on_request(lab):
    patient = Patient(lab)
    patient.daemon.ctl("restart")
    equal(patient.daemon.process.wait(), EXIT_RESTART,
          "restart ends vtpmd in order, to be started again")
    patient.daemon.start()
    patient.guest.reconnect()
    equal((patient.counter(), patient.pcr()), (patient.first, EXTENDED),
          "nothing is lost")


if __name__ == "__main__":
    harness.main(resume, restart_instead, abandon, restart_on_request)
