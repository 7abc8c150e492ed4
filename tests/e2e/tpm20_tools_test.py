#!/usr/bin/env python3
"""Stock tpm2-tools work on a TPM 2.0 behind a ring, over restarts too."""

import shutil

import harness
from harness import check, equal, require


class Tools:
    """tpm2-tools over vtpm-front --stdio, as tpm2-tss' cmd: TCTI runs it."""

    def __init__(self, lab, daemon):
        if not shutil.which("tpm2_getrandom"):
            raise harness.Skip("tpm2-tools are not installed")
        self.lab = lab
        # The TCTI splits its command at blanks and knows no quotes.
        script = lab.path / "front"
        script.write_text('#!/bin/sh\nexec "{}" --connect "{}" --stdio\n'
                          .format(lab.program("vtpm-front"), daemon.socket))
        script.chmod(0o755)
        self.environment = {"TPM2TOOLS_TCTI": f"cmd:{script}",
                            "TSS2_LOG": "all+none"}

    def run(self, tool, *arguments):
        return self.lab.run(f"tpm2_{tool}", *arguments,
                            environment=self.environment)

    def works(self, tool, *arguments, what=None):
        """Counts a check that a tool succeeds. Returns its output."""
        done = self.run(tool, *arguments)
        require(done.returncode == 0, what or f"tpm2_{tool} works",
                done.stdout + done.stderr)
        return done.stdout

    def refused(self, tool, *arguments, what):
        """Counts a check that a tool fails."""
        done = self.run(tool, *arguments)
        check(done.returncode != 0, what, done.stdout)

    def flush(self):
        """A TPM has three slots for objects; tools leave theirs behind."""
        self.run("flushcontext", "-t")
        self.run("flushcontext", "-l")


def pcr(tools, bank, number):
    text = tools.works("pcrread", f"{bank}:{number}",
                       what=f"tpm2_pcrread {bank}:{number} works")
    return text.split("0x")[1].strip().lower()


def random_numbers_and_pcrs(lab):
    tools = Tools(lab, lab.vtpmd())
    numbers = [tools.works("getrandom", "--hex", "32") for _ in range(2)]
    equal([len(n.strip()) for n in numbers], [64, 64], "32 octets each time")
    check(numbers[0] != numbers[1], "other ones each time")
    for bank, size in (("sha1", 40), ("sha256", 64)):
        equal(pcr(tools, bank, 10), "0" * size, f"{bank} PCR 10 starts at zero")
        tools.works("pcrextend", f"10:{bank}={'ab' * (size // 2)}",
                    what=f"tpm2_pcrextend {bank} works")
        check(pcr(tools, bank, 10) != "0" * size, f"{bank} PCR 10 is extended")
    equal(tools.works("getcap", "properties-fixed").count("TPM2_PT_FAMILY"), 1,
          "tpm2_getcap knows the TPM's family")


def sign_and_verify(tools, lab, algorithm):
    """Creates, loads, signs with and verifies with one kind of key."""
    primary, key = lab.path / "primary", lab.path / "key"
    message = lab.path / "message"
    message.write_text("signed by a TPM that many share")
    files = ["-u", f"{key}.pub", "-r", f"{key}.priv"]
    tools.works("create", "-C", primary, "-G", algorithm, *files,
                what=f"tpm2_create {algorithm} works")
    tools.flush()
    tools.works("load", "-C", primary, *files, "-c", key)
    tools.flush()
    tools.works("sign", "-c", key, "-g", "sha256", "-o", f"{key}.sig", message)
    tools.flush()
    arguments = ["-c", key, "-g", "sha256", "-s", f"{key}.sig", "-m", message]
    tools.works("verifysignature", *arguments,
                what=f"tpm2_verifysignature accepts the {algorithm} signature")
    tools.flush()
    message.write_text("Signed by a TPM that many share")
    tools.refused("verifysignature", *arguments,
                  what="and refuses another message")
    tools.flush()


def keys(lab):
    tools = Tools(lab, lab.vtpmd())
    tools.works("createprimary", "-C", "o", "-G", "ecc", "-c",
                lab.path / "primary")
    tools.flush()
    for algorithm in ("rsa2048", "ecc256"):
        sign_and_verify(tools, lab, algorithm)


def nv_memory(lab):
    tools = Tools(lab, lab.vtpmd())
    data = lab.path / "data"
    data.write_bytes(b"written once and for all")
    tools.works("nvdefine", "0x1500016", "-s", "24", "-a",
                "ownerread|ownerwrite")
    tools.works("nvwrite", "0x1500016", "-C", "o", "-i", data)
    equal(tools.works("nvread", "0x1500016", "-C", "o"), data.read_text(),
          "tpm2_nvread returns what tpm2_nvwrite wrote")
    tools.works("nvdefine", "0x1500017", "-a", "nt=1|ownerread|ownerwrite",
                what="tpm2_nvdefine makes a counter")
    values = []
    for _ in range(3):
        tools.works("nvincrement", "0x1500017", "-C", "o")
        done = tools.run("nvread", "0x1500017", "-C", "o", "-o",
                         lab.path / "counter")
        equal(done.returncode, 0, "the counter can be read")
        values.append(int.from_bytes((lab.path / "counter").read_bytes(),
                                     "big"))
    equal([v - values[0] for v in values], [0, 1, 2], "it counts by ones")


def sealing(lab):
    tools = Tools(lab, lab.vtpmd())
    primary, sealed = lab.path / "primary", lab.path / "sealed"
    secret, policy = lab.path / "secret", lab.path / "policy"
    secret.write_text("for this state of the platform only")
    tools.works("createprimary", "-C", "o", "-G", "ecc", "-c", primary)
    tools.flush()
    tools.works("createpolicy", "--policy-pcr", "-l", "sha256:16", "-L",
                policy)
    tools.flush()
    files = ["-u", f"{sealed}.pub", "-r", f"{sealed}.priv"]
    tools.works("create", "-C", primary, "-i", secret, "-L", policy, *files,
                what="tpm2_create seals under a PCR policy")
    tools.flush()
    tools.works("load", "-C", primary, *files, "-c", sealed)
    tools.flush()
    unseal = ["-c", sealed, "-p", "pcr:sha256:16"]
    equal(tools.works("unseal", *unseal), secret.read_text(),
          "tpm2_unseal returns the secret")
    tools.flush()
    tools.works("pcrextend", f"16:sha256={'cd' * 32}")
    tools.refused("unseal", *unseal, what="but not after the PCR has changed")
    tools.flush()


def attestation(lab):
    tools = Tools(lab, lab.vtpmd())
    path = lab.path
    tools.works("createek", "-c", path / "ek", "-G", "rsa", "-u",
                path / "ek.pub")
    tools.flush()
    tools.works("createak", "-C", path / "ek", "-c", path / "ak", "-G", "ecc",
                "-g", "sha256", "-s", "ecdsa", "-u", path / "ak.pem", "-f",
                "pem")
    tools.flush()
    tools.works("quote", "-c", path / "ak", "-l", "sha256:0,10", "-q", "c0ffee",
                "-m", path / "quote", "-s", path / "sig", "-o", path / "pcrs",
                "-g", "sha256")
    tools.flush()
    arguments = ["-u", path / "ak.pem", "-m", path / "quote", "-s",
                 path / "sig", "-f", path / "pcrs", "-g", "sha256"]
    tools.works("checkquote", *arguments, "-q", "c0ffee",
                what="tpm2_checkquote accepts the quote")
    tools.refused("checkquote", *arguments, "-q", "c0ffed",
                  what="and refuses it for another nonce")


def state_survives(tools, lab, how):
    equal(tools.works("nvread", "0x1500016", "-C", "o"), "kept",
          f"NV memory survives {how}")
    tools.works("readpublic", "-c", "0x81000001",
                what=f"a persistent object survives {how}")
    message, signature = lab.path / "message", lab.path / "signature"
    message.write_text(how)
    tools.works("sign", "-c", "0x81000001", "-g", "sha256", "-o", signature,
                message, what=f"and signs after {how}")
    return pcr(tools, "sha256", 10)


def restarts(lab):
    """With no shadow the TPM starts afresh; shadow_test.py has the other."""
    daemon = lab.vtpmd(options=["--shadow", "off"])
    tools = Tools(lab, daemon)
    data = lab.path / "data"
    data.write_text("kept")
    tools.works("nvdefine", "0x1500016", "-s", "4", "-a",
                "ownerread|ownerwrite")
    tools.works("nvwrite", "0x1500016", "-C", "o", "-i", data)
    tools.works("createprimary", "-C", "o", "-G", "ecc:ecdsa", "-c",
                lab.path / "key", "-a",
                "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth")
    tools.works("evictcontrol", "-C", "o", "-c", lab.path / "key", "0x81000001")
    tools.flush()
    extend = ["pcrextend", f"10:sha256={'ab' * 32}"]
    tools.works(*extend)
    daemon.restart()
    equal(state_survives(tools, lab, "an orderly restart"), "0" * 64,
          "an orderly restart resets the PCRs")
    tools.works(*extend)
    daemon.kill()
    daemon.start()
    equal(state_survives(tools, lab, "kill -9"), "0" * 64,
          "kill -9 resets the PCRs")


if __name__ == "__main__":
    harness.main(random_numbers_and_pcrs, keys, nv_memory, sealing, attestation,
                 restarts)
