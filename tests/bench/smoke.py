#!/usr/bin/env python3
"""Runs vtpm-bench as briefly as possible and checks the form of its report.

Usage: smoke.py VTPM_BENCH

Says nothing about speed: only that every case gave figures, that they are
finite and above zero, and that the report is what vtpm-bench(1) promises.
"""

import json
import math
import subprocess
import sys

KEYS = {"suite", "case", "unit", "ours", "peer", "limit", "ratio"}
# Four commands, for each version of the TPM.
CASES = 8
PATIENCE_S = 100


def is_figure(value):
    return (isinstance(value, (int, float)) and math.isfinite(value)
            and value > 0)


def fault_in(row):
    """Returns what is wrong with a row of the suite `latency`, or None."""
    if set(row) != KEYS:
        return "keys"
    if row["suite"] != "latency" or row["unit"] != "us":
        return "suite or unit"
    if not all(is_figure(row[key]) for key in ("ours", "peer", "ratio")):
        return "figures"
    if row["limit"] is not None:
        return "a limit that nobody measured"
    if not math.isclose(row["ratio"], row["ours"] / row["peer"],
                        rel_tol=1e-6):
        return "a ratio of something else"
    return None


def main(program):
    # One round: the ratio is that of the two figures.
    done = subprocess.run(
        [program, "--quick", "--suite", "latency", "--rounds", "1", "--json",
         "-"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {done.stderr}")
    rows = json.loads(done.stdout)
    if len({row["case"] for row in rows}) != CASES or len(rows) != CASES:
        sys.exit(f"not {CASES} cases: {done.stdout}")
    for row in rows:
        fault = fault_in(row)
        if fault:
            sys.exit(f"{fault}: {row}")


main(sys.argv[1])
