#!/usr/bin/env python3
"""Sixty-four frontends at once are all served, and in turns."""

import select

import harness
import tpm20
from harness import check, equal

FRONTENDS = 64
COMMANDS = 6400

# How much more often one frontend may be served than another while all of them
# always have a command waiting: round-robin says 1, the client's own order of
# looking at its doorbells blurs it.
FACTOR_MAX = 3


def all_at_once(lab):
    daemon = lab.vtpmd()
    guests = {}
    for i in range(FRONTENDS):
        guest = daemon.ring(1 + i // 4, i % 4)
        guests[guest.bell.fileno()] = guest
    served = dict.fromkeys(guests, 0)
    wrong = []
    poll = select.poll()
    request = tpm20.get_random(32)
    for number, guest in guests.items():
        poll.register(number, select.POLLIN)
        guest.submit(0, request)
    while sum(served.values()) < COMMANDS:
        ready = poll.poll(1000 * harness.STEP_S)
        if not ready:
            raise harness.Failed("nobody is served any more")
        for number, _ in ready:
            guest = guests[number]
            guest.bell.recv(16)
            if guest.busy():
                continue
            if len(guest.response()) != 44:
                wrong.append(guest.response())
            served[number] += 1
            guest.submit(0, request)
    equal(wrong, [], "every response is a whole one")
    most, least = max(served.values()), min(served.values())
    check(0 < most <= FACTOR_MAX * least, "no frontend is served much more "
          "than another", sorted(served.values()))
    for guest in guests.values():
        guest.wait()
    frontends = daemon.stats()["frontends"]
    equal(len(frontends), FRONTENDS, "vtpmctl stats shows every one")
    equal(sorted(f["commands"] for f in frontends),
          sorted(count + 1 for count in served.values()),
          "with the commands it had")
    lines = daemon.ctl("stats").splitlines()
    check(len(lines) >= FRONTENDS, "its table has a line for each", lines)


def nv_writes_share_commits(lab):
    daemon = lab.vtpmd()
    guests = [daemon.ring(1 + i) for i in range(16)]
    codes = [tpm20.result(guest.transact(tpm20.nv_define(
        0x1500100 + i, tpm20.NV_BY_PASSWORD, 8)))
             for i, guest in enumerate(guests)]
    equal(codes, [0] * len(guests), "each guest defines an NV index")
    before = daemon.stats()["commits"]
    for turn in range(20):
        for i, guest in enumerate(guests):
            guest.submit(0, tpm20.nv_write(0x1500100 + i, b"turn %03d" % turn))
        for guest in guests:
            guest.wait()
    after = daemon.stats()["commits"]
    changes = after["changes"] - before["changes"]
    commits = after["commits"] - before["commits"]
    equal(changes, 16 * 20, "every write is a change")
    check(commits < changes, "several of them share one commit",
          f"{changes} changes in {commits} commits")


if __name__ == "__main__":
    harness.main(all_at_once, nv_writes_share_commits)
