"""``claim``, ``revoke``, ``pin``, ``unpin``, ``db``, ``doctor``, ``bench``: what they do."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cli.command import Command

from lease_actors import Manager


def test_claim_makes_the_tables_and_lasts_beyond_the_command(command: Command) -> None:
    first = command("claim", "x", "--holder", "me", "--duration", "1h")
    assert first.status == 0
    again, shown = command.all(
        ("claim", "x", "--holder", "me", "--duration", "2h", "--json"), ("show", "x", "--json")
    )
    assert again.json["term"] == shown.json["term"] == 1
    assert shown.json["holder"] == "me"


def test_claim_says_for_how_long_it_is_had(command: Command) -> None:
    for duration, said in (("1h", "for 1h00m\n"), ("1m", "for 59m"), ("2h", "for 2h00m\n")):
        assert said in command("claim", "x", "--holder", "me", "--duration", duration).out


def test_revoke_takes_it_from_whoever_has_it(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "me", 60)
    manager.claimer("default").claim("y", "me", 60)
    named, other = command.all(("revoke", "x"), ("revoke", "y", "--holder", "you"))
    assert (named.status, other.status) == (0, 1)
    assert manager.reader("default").leases() == {"y": "me"}


def test_an_empty_holder_is_nobodys_name(command: Command, manager: Manager) -> None:
    """So says a script whose variable is not set: it may mean anybody but whoever has it now."""
    manager.claimer("default").claim("x", "me", 60)
    done = command.all(
        ("revoke", "x", "--holder", ""), ("run", "--lease", "y", "--holder", "", "echo", "never")
    )
    assert [d for d in done if not d.is_one_line(2) or d.out] == []
    assert manager.reader("default").leases() == {"x": "me"}


def test_pin_and_unpin(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "me", 60)
    assert command("pin", "x", "upgrade").status == 0
    assert manager.pinner("default").pinned() == {"x": ["upgrade"]}
    mistyped = command("unpin", "x", "upgarde")
    assert (mistyped.status, "still pinned by upgrade\n" in mistyped.out) == (0, True)
    done = command("unpin", "x", "upgrade")
    assert (done.status, "still" in done.out) == (0, False)
    assert manager.pinner("default").pinned() == {}


def test_the_tables_are_made_once(command: Command) -> None:
    missing = command("db", "check")
    assert missing.is_one_line(70)
    made, again = command("db", "init"), command("db", "init")
    assert (made.status, again.status) == (0, 0)
    checked, upgraded = command.all(("db", "check"), ("db", "upgrade"))
    assert (checked.status, upgraded.status) == (0, 0)


def test_the_script_of_the_tables_needs_no_database(nowhere: Command) -> None:
    done = nowhere("db", "ddl", "postgresql")
    assert done.status == 0
    assert "CREATE TABLE lease_leases" in done.out


def test_doctor_gives_a_verdict_on_each_matter(command: Command, manager: Manager) -> None:
    people, programs = command.all(("doctor",), ("doctor", "--json"))
    checks = ["connect", "schema", "clock", "round trip", "commit", "notification"]
    assert [verdict["check"] for verdict in programs.json] == checks
    assert {verdict["mark"] for verdict in programs.json} <= {"ok", "warn"}
    assert [line.split()[0] for line in people.out.splitlines() if line[0] != " "] == ["ok"] * 6
    assert (people.status, programs.status) == (0, 0)
    assert manager.reader("lease-actors").leases() == {}


def test_doctor_says_what_to_do(nowhere: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    done = nowhere.on(f"sqlite:///{tmp_path / 'empty.db'}")("doctor", "--json")
    assert done.is_one_line(70)
    connect, schema = done.json
    assert (connect["mark"], schema["mark"]) == ("ok", "bad")
    assert "db init" in schema["advice"]
    [prefix] = nowhere("doctor", "--json", "--table-prefix", "a b").json
    assert "table_prefix='a b'" in prefix["finding"]
    assert "URL" not in prefix["advice"]


def test_doctor_takes_an_sqlite_uri(nowhere: Command, tmp_path: Path) -> None:
    with Manager.open(f"sqlite:///{tmp_path / 'leases.db'}"):
        pass
    done = nowhere.on(f"sqlite:///file:{tmp_path / 'leases.db'}?uri=true")("doctor", "--json")
    assert (done.status, len(done.json)) == (0, 6)


def test_bench_measures_and_leaves_no_lease_held(command: Command, manager: Manager) -> None:
    done = command("bench", "--threads", "1,3", "--seconds", "0.3", "--json")
    assert (done.status, done.err) == (0, "")
    assert [result["threads"] for result in done.json] == [1, 3]
    assert all(r["pairs_per_second"] > 0 and r["p99_ms"] >= r["p50_ms"] > 0 for r in done.json)
    assert manager.reader("lease-actors-bench").leases() == {}


def test_completion_is_offered_for_the_shells(command: Command) -> None:
    done = command.all(*(("completion", shell) for shell in ("bash", "zsh", "fish")))
    assert [d.status for d in done] == [0, 0, 0]
    assert all("_LEASE_ACTORS_COMPLETE" in d.out for d in done)


def test_web_serves_the_page_and_reads_only(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "me", 60)
    with _serving(command) as address:
        with urlopen(f"{address}api/leases") as answer:
            assert json.load(answer)["leases"][0]["holder"] == "me"
        with urlopen(f"{address}metrics") as answer:
            assert b"lease_operations_total" in answer.read()
        with urlopen(f"{address}healthz") as answer:
            assert answer.status == 200
        assert _revoke(address, "anything-at-all") == 403


def test_web_changes_something_for_who_has_the_token(
    command: Command, manager: Manager, tmp_path: Path
) -> None:
    manager.claimer("default").claim("x", "me", 60)
    (tmp_path / "token").write_text("an-open-secret\n")
    with _serving(command, "--token-file", str(tmp_path / "token")) as address:
        assert _revoke(address, "something-else") == 401
        assert _revoke(address, "an-open-secret") == 200
    assert manager.reader("default").leases() == {}


@contextmanager
def _serving(command: Command, *arguments: str) -> Iterator[str]:
    running = command.start("web", "--port", "0", *arguments)
    yield running.line().split()[2]
    running.signal(signal.SIGTERM)
    assert running.done().is_one_line(143)


def _revoke(address: str, token: str) -> int:
    body = {"namespace": "default", "lease": "x", "holder": "me"}
    headers = {"Authorization": f"Bearer {token}"}
    request = Request(f"{address}api/revoke", json.dumps(body).encode(), headers)
    try:
        with urlopen(request) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code
