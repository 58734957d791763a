"""``ls``, ``show``, ``waiting``, ``watch``, ``history``: what is said, for people and programs."""

from __future__ import annotations

import json
import os
import pty
from datetime import datetime, timedelta

import pytest
from cli.command import Command, eventually

from lease_actors import Manager
from lease_actors.cli.output import left, plain


def test_ls_is_an_aligned_table(command: Command, manager: Manager) -> None:
    claimer = manager.claimer("default")
    claimer.claim("short", "a-rather-long-holder", 60)
    claimer.claim("a-rather-long-lease", "me", 60)
    manager.pinner("default").pin("short", "upgrade")
    done = command("ls")
    assert (done.status, done.err) == (0, "")
    head, *rows = done.out.splitlines()
    assert [row.split()[0] for row in rows] == ["a-rather-long-lease", "short"]
    column = head.index("HOLDER")
    assert [row[column:].split()[0] for row in rows] == ["me", "a-rather-long-holder"]
    assert rows[1].split()[-1] == "upgrade"
    assert "\x1b" not in done.out


def test_ls_gives_json_to_programs(command: Command, manager: Manager) -> None:
    lease = manager.claimer("default").claim("x", "me", 60)
    [found] = command("ls", "--json").json
    assert (found["lease"], found["holder"], found["term"]) == ("x", "me", lease.term)
    assert datetime.fromisoformat(found["expiry"]) == lease.expiry
    assert 0 < found["remaining"] <= 60


def test_ls_keeps_to_its_namespace_unless_asked_for_all(command: Command, manager: Manager) -> None:
    for namespace, model in (("default", ""), ("default", "m"), ("other", "")):
        manager.claimer(namespace, model).claim("x", f"{namespace}-{model}", 60)
    one, model, all_ = command.all(
        ("ls", "--json"), ("ls", "--json", "--model", "m"), ("ls", "--json", "-A")
    )
    assert [v["holder"] for v in one.json] == ["default-"]
    assert [v["holder"] for v in model.json] == ["default-m"]
    assert [v["holder"] for v in all_.json] == ["default-", "default-m", "other-"]


def test_no_leases_is_said_on_stderr(command: Command, manager: Manager) -> None:
    table, json_ = command.all(("ls",), ("ls", "--json"))
    assert (table.status, table.out) == (0, "")
    assert "no leases" in table.err
    assert json_.json == []


def test_colours_are_for_terminals_only(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "me", 60)
    for look in ("ls", "doctor"):
        assert b"\x1b[32m" in _on_a_terminal(command, look)
        assert b"\x1b[3" not in _on_a_terminal(command, look, NO_COLOR="1")


def _on_a_terminal(command: Command, *arguments: str, **environment: str) -> bytes:
    ours, theirs = pty.openpty()
    running = command.start(*arguments, out=theirs, **environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert running.done().status == 0
    return shown


def test_show_tells_of_holder_pins_and_queue(command: Command, manager: Manager) -> None:
    claimer = manager.claimer("default")
    claimer.claim("x", "me", 60)
    manager.pinner("default").pin("x", "upgrade")
    with claimer.claim_future("x", "you", 60):
        eventually(lambda: len(manager.reader("default").waiting("x")) == 1)
        people, programs, queue = command.all(
            ("show", "x"), ("show", "x", "--json"), ("waiting", "x", "--json")
        )
    assert [people.status, programs.status] == [0, 0]
    assert "me" in people.out
    assert "1. you" in people.out
    assert programs.json["pins"] == ["upgrade"]
    assert programs.json["queue"] == queue.json
    assert [(w["position"], w["holder"]) for w in queue.json] == [(1, "you")]


def test_watch_prints_each_change(command: Command, manager: Manager) -> None:
    claimer, revoker = manager.claimer("default"), manager.revoker("default")
    claimer.claim("x", "me", 60)
    watching = command.start("watch", "--json", "--interval", "50ms", "--count", "4")
    changes = [json.loads(watching.line())]
    revoker.revoke("x", "me")
    changes.append(json.loads(watching.line()))
    claimer.claim("x", "you", 60)
    changes.append(json.loads(watching.line()))
    manager.pinner("default").pin("x", "upgrade")
    changes.append(json.loads(watching.line()))
    assert [(c["holder"], c["term"], c["pins"]) for c in changes] == [
        ("me", 1, []),
        (None, 1, []),
        ("you", 2, []),
        ("you", 2, ["upgrade"]),
    ]
    assert [(c["ended"], c["ended_term"]) for c in changes[:2]] == [(None, None), ("revoked", 1)]
    assert watching.done().status == 0


def test_watch_says_nothing_of_mere_extensions(command: Command, manager: Manager) -> None:
    claimer = manager.claimer("default")
    claimer.claim("x", "me", 60)
    watching = command.start("watch", "--interval", "20ms", "--count", "2")
    assert "held me" in watching.line()
    for _ in range(3):
        claimer.claim("x", "me", 120)
    manager.revoker("default").revoke("x", "me")
    assert "free" in watching.line()


def test_watch_tells_of_what_is_free_once_and_of_its_next_holder(
    command: Command, manager: Manager
) -> None:
    claimer, pinner = manager.claimer("default"), manager.pinner("default")
    pinner.pin("x", "upgrade")
    watching = command.start("watch", "--interval", "20ms", "--count", "4")
    said = [watching.line()]
    pinner.unpin("x", "upgrade")
    said.append(watching.line())
    claimer.claim("y", "me", 60)  # when this is seen, that x is free was not said again
    said.append(watching.line())
    claimer.claim("x", "you", 60)
    said.append(watching.line())
    assert [line.split("  ", 1)[1] for line in said] == [
        "default/x  free, term 0, pinned by upgrade",
        "default/x  free, term 0",
        "default/y  held me, term 1",
        "default/x  held you, term 1",
    ]


def test_history_is_told_once_it_is_switched_on(command: Command, manager: Manager) -> None:
    assert "off" in command("history").err
    assert command("db", "history", "--keep", "1d").out == "the history is on, kept for 1d00h\n"
    claimer = manager.claimer("default")
    claimer.claim("x", "me", 60)
    manager.revoker("default").revoke("x", "me")
    of_one, of_all, none = command.all(
        ("history", "x", "--json"), ("history", "-A"), ("history", "x", "--until", "1h", "--json")
    )
    [tenure] = of_one.json
    assert (tenure["holder"], tenure["term"], tenure["ended"]) == ("me", 1, "revoked")
    assert "revoked" in of_all.out
    assert none.json == []
    assert command("db", "history", "--off").out == "the history is off\n"


def test_a_history_without_a_match_is_told_from_an_empty_one(
    command: Command, manager: Manager
) -> None:
    command("db", "history", "--keep", "1d")
    assert command("history", "-A") == (0, "", "no tenure has ended yet\n")
    manager.claimer("default").claim("x", "me", 60)
    manager.revoker("default").revoke("x", "me")
    assert command("history", "-n", "n").err == "no tenure has ended yet in namespace 'n'\n"
    filters = (("unknown",), ("--until", "1h"), ("--since", "2100-01-01"))
    done = command.all(*(("history", *chosen) for chosen in filters))
    assert done == [(0, "", "no tenure that has ended matches\n")] * 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"),
     (86399, "23h59m"), (86400, "1d00h"), (366 * 86400, "366d00h")],
)  # fmt: skip
def test_times_are_short(seconds: float, text: str) -> None:
    assert left(timedelta(seconds=seconds)) == text


def test_nothing_in_a_name_reaches_the_terminal_as_an_order() -> None:
    assert plain("\x1b[2Jx\n\u202e") == "\\x1b[2Jx\\n\\u202e"
    assert plain("grün/🔒") == "grün/🔒"
