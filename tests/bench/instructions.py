#!/usr/bin/env python3
"""Counts the engine's instructions per command and compares with a record.

Usage: instructions.py PROGRAM RECORD [--write]

A clock tells nothing on a machine that others use; callgrind's counts are the
same everywhere, once OpenSSL is kept from choosing its code by the processor.
More than the tolerance in either direction is a failure: make the code faster
again, or say why in the commit that records the new figures (--write).
"""

import json
import os
import re
import subprocess
import sys
import tempfile

TOLERANCE = 0.1
PATIENCE_S = 250
# As in instructions.cpp.
ROUNDS = 16


def count(program):
    """Returns the instructions per command, by the command's name."""
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "out")
        done = subprocess.run(
            ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no",
             f"--callgrind-out-file={out}", program],
            # No extension of the instruction set: see OPENSSL_ia32cap(3).
            env=os.environ | {"OPENSSL_ia32cap": "0:0"},
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}: {done.stdout}"
                     f"{done.stderr}")
        found = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                text = file.read()
            what = re.search(r"^desc: Trigger: Client Request: (.*)$", text,
                             re.MULTILINE)
            total = re.search(r"^(?:totals|summary): (\d+)", text,
                              re.MULTILINE)
            if what and total:
                found[what[1]] = int(total[1]) // ROUNDS
        return found


def main(program, record, *options):
    counted = count(program)
    if options == ("--write",):
        with open(record, "w", encoding="utf-8") as file:
            json.dump(counted, file, indent=2, sort_keys=True)
            file.write("\n")
        return
    with open(record, encoding="utf-8") as file:
        recorded = json.load(file)
    if set(counted) != set(recorded):
        sys.exit(f"counted {sorted(counted)}, recorded {sorted(recorded)}")
    wrong = False
    for name, before in sorted(recorded.items()):
        change = counted[name] / before - 1
        verdict = "" if abs(change) <= TOLERANCE else " <- too far"
        wrong = wrong or bool(verdict)
        print(f"{name}: {counted[name]}, recorded {before}, "
              f"{change:+.1%}{verdict}")
    if wrong:
        sys.exit(1)


main(*sys.argv[1:])
