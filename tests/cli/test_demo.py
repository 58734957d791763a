"""``demo``: it plays to its end, and tells what happens."""

from __future__ import annotations

import re

from cli.command import Command

REFUSAL = (
    "cannot revoke lease 'printer' from holder 'cyd': it is pinned by 'upgrade' (unpin it first)"
)


def test_it_tells_of_a_crash_a_hand_over_and_a_pin(nowhere: Command) -> None:
    """On a database of its own, whatever the one is that is named."""
    done = nowhere("demo")
    assert (done.status, done.err) == (0, "")
    told = re.sub(r"  +\d+\.\d\d s  ", "", done.out)
    assert [" ".join(line.split()) for line in told.splitlines() if line] == [
        "Three contenders for one lease, 'printer': ann, bob and cyd",
        "ann has it, under term 1, for 2 s; a process of its own",
        "bob waits, number 1",
        "cyd waits, number 2",
        "A crash: ann's process is killed; when its time is over, bob is next",
        "ann was killed, and has told nobody",
        "bob has it now, under term 2",
        "A hand-over: bob gives it up, and cyd has it in the same moment",
        "bob has given it up",
        "cyd has it now, under term 3",
        "A pin: as long as it is pinned, it neither expires nor is revoked",
        "upgrade has pinned it",
        f"revoker {REFUSAL}",
        "upgrade is over: cyd has it for 30 s again",
        "That was all. In a program: Manager.open(url).claimer(namespace).claim(…)",
    ]
