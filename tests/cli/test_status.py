"""However a command fails: one line on stderr, no traceback, and the status that is documented."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli.command import Command, Done, eventually

from lease_actors import Key, Manager, Reader
from lease_actors.secretaries import DefaultSecretary, FixedSecretaries

ALL = {
    "ls": ("ls",),
    "show": ("show", "x"),
    "waiting": ("waiting", "x"),
    "watch": ("watch", "--count", "1"),
    "history": ("history",),
    "claim": ("claim", "x", "--holder", "me"),
    "revoke": ("revoke", "x"),
    "pin": ("pin", "x", "me"),
    "unpin": ("unpin", "x", "me"),
    "run": ("run", "--lease", "x", "true"),
    "db check": ("db", "check"),
    "db upgrade": ("db", "upgrade"),
    "db history": ("db", "history"),
    "doctor": ("doctor",),
    "bench": ("bench", "--seconds", "1"),
    "web": ("web", "--port", "0"),
}


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "nosuchdatabase://host/name",
        "sqlite:////no/such/directory/leases.db",
        f"postgresql+psycopg://nobody@127.0.0.1:{closed_port()}/none?connect_timeout=5",
        "mariadb://nobody@127.0.0.1/none?nonsense=1",
    ],
    ids=["no URL", "unknown database", "no directory", "dead server", "unknown option"],
)
def test_a_database_that_is_not_there_is_70(nowhere: Command, url: str) -> None:
    done = dict(zip(ALL, nowhere.on(url).all(*ALL.values()), strict=True))
    assert {name: d for name, d in done.items() if not d.is_one_line(70)} == {}


def test_a_file_that_is_no_database_is_70(nowhere: Command, tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    path.write_text("This is no database, but long enough to be looked at as if it was one. " * 9)
    done = dict(zip(ALL, nowhere.on(f"sqlite:///{path}").all(*ALL.values()), strict=True))
    assert {name: d for name, d in done.items() if not d.is_one_line(70)} == {}


def test_a_missing_database_is_not_made_by_who_only_looks(nowhere: Command, tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    looks = [c for name, c in ALL.items() if name not in ("claim", "pin", "run", "bench")]
    done = nowhere.on(f"sqlite:///{path}").all(*looks)
    assert [d for d in done if not d.is_one_line(70)] == []
    assert not path.exists()


def test_no_database_named_is_usage() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "LEASE_ACTORS_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "lease_actors", "ls"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "LEASE_ACTORS_URL" in done.stderr


def test_wrong_usage_is_2(command: Command, manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "no ASCII").write_text("ein offenes Geheimnis für alle", encoding="utf-8")
    (tmp_path / "no text").write_bytes(b"\xff\xfe\xfd" * 9)
    wrong = (
        ("nonsense",),
        ("ls", "--nonsense"),
        ("show",),
        ("claim", "x", "--holder", "me", "--duration", "soon"),
        ("claim", "x", "--holder", "me", "--duration", "0"),
        ("claim", "with space", "--holder", "me"),
        ("run", "--lease", "x"),
        ("run", "--lease", "x", "--wait", "5", "--no-wait", "true"),
        ("run", "--lease", "x", "--wait", "forever", "--no-wait", "true"),
        ("run", "--lease", "x", "--duration", "10", "--grace", "4.1", "true"),
        ("top",),
        ("web", "--port", "70000"),
        ("web", "--port", "0", "--token-file", os.devnull),
        ("web", "--port", "0", "--token-file", str(tmp_path / "no text")),
        ("web", "--port", "0", "--token-file", str(tmp_path / "no ASCII")),
        ("history", "--since", "1000000d"),
        ("db", "history", "--keep", "100000000000d"),
        ("watch", "--interval", "99999999999"),
        ("claim", "x", "--holder", "me", "--wait", "9" * 400),
    )
    done = dict(zip(wrong, command.all(*wrong), strict=True))
    assert {arguments: d for arguments, d in done.items() if not d.is_one_line(2)} == {}


def test_a_name_that_cannot_be_is_2_for_who_looks_too(command: Command, manager: Manager) -> None:
    reads = (("show",), ("waiting",), ("history",), ("watch",), ("revoke",))
    wrong = [(*read, name) for read in reads for name in ("night ly", "", "x" * 256, "\udcff")]
    wrong.append(("show", "x", "--namespace", "na me"))
    done = dict(zip(wrong, command.all(*wrong), strict=True))
    assert {arguments: d for arguments, d in done.items() if not d.is_one_line(2)} == {}


def test_a_lease_that_is_there_is_shown_whatever_its_name(command: Command, url: str) -> None:
    class Anything(DefaultSecretary):
        def check_lease(self, key: Key) -> None:
            pass

    finder = FixedSecretaries({"default": Anything()})
    with Manager.open(url, secretary_finder=finder) as theirs:
        theirs.claimer("default").claim("night ly", "me", 60)
    done = command.all(*((read, "night ly") for read in ("show", "waiting", "history")))
    assert [d.status for d in done] == [0, 0, 0]


def test_without_a_command_the_help_is_shown_as_it_is(command: Command) -> None:
    for group in ((), ("db",)):
        bare, asked = command.all(group, (*group, "--help"))
        assert bare == (2, "", asked.out)
        assert len(asked.out.splitlines()) > 5


def test_a_lease_that_is_not_to_be_had_is_75(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    done = command.all(
        ("claim", "x", "--holder", "me"),
        ("claim", "x", "--holder", "me", "--wait", "0.1"),
        ("run", "--lease", "x", "--no-wait", "true"),
        ("run", "--lease", "x", "--wait", "0.1", "true"),
    )
    assert [d for d in done if not d.is_one_line(75)] == []


def test_an_answer_of_no_is_1(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("pinned", "somebody", 60)
    manager.pinner("default").pin("pinned", "upgrade")
    done = command.all(
        ("show", "unknown"),
        ("revoke", "pinned"),
        ("revoke", "pinned", "--holder", "somebody-else"),
    )
    assert [d for d in done if not d.is_one_line(1)] == []


def test_what_is_undone_already_is_no_failure(command: Command, manager: Manager) -> None:
    done = command.all(("revoke", "unknown"), ("unpin", "unknown", "me"), ("waiting", "unknown"))
    assert [d.status for d in done] == [0, 0, 0]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_being_interrupted_is_128_and_the_signal(
    command: Command, manager: Manager, signum: int, status: int
) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    watching, serving = command.start("watch"), command.start("web", "--port", "0")
    waiting = command.start("claim", "x", "--holder", "me", "--wait", "forever")
    assert "somebody" in watching.line()
    assert "serving" in serving.line()
    reader = manager.reader("default")
    _until_waiting(reader, 1)
    for running in (watching, serving, waiting):
        running.signal(signum)
    done = [running.done() for running in (watching, serving, waiting)]
    assert [d for d in done if not d.is_one_line(status)] == []
    _until_waiting(reader, 0)  # the claim was withdrawn, not left behind


def _until_waiting(reader: Reader, count: int) -> None:
    eventually(lambda: len(reader.waiting("x")) == count, f"{count} waiting")


def test_a_closed_pipe_is_silent(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    reader, writer = os.pipe()
    os.close(reader)
    started = [command.start(*c, out=writer) for c in (("ls",), ("show", "x"), ("watch",))]
    os.close(writer)
    assert [running.done() for running in started] == [Done(141, "", "")] * 3


def test_without_an_output_it_does_its_work_all_the_same(
    command: Command, manager: Manager
) -> None:
    done = _in_a_shell('"$@" >&-', "claim", "x", "--holder", "me", url=command.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert manager.reader("default").leases() == {"x": "me"}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_without_an_error_output_it_does_its_work_all_the_same(command: Command) -> None:
    for arguments in (
        ("run", "--lease", "x", "echo", "now"),
        ("bench", "--threads", "1", "--seconds", "0.1"),
    ):
        done = _in_a_shell('"$@" 2>&-', *arguments, url=command.url)
        assert (done.returncode, done.stdout != "") == (0, True)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_the_output_cannot_encode_is_escaped(command: Command) -> None:
    def latin(*arguments: str, bare: bool = False) -> str:
        line = 'PYTHONIOENCODING=latin-1 "$@"'
        done = _in_a_shell(line, *arguments, url=command.url, bare=bare)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    claim = ("claim", "x", "--holder", "日🔒")
    assert latin(*claim).startswith("\\u65e5\\U0001f512 has x")
    assert json.loads(latin(*claim, "--json"))["holder"] == "日🔒"
    assert latin("ls").splitlines()[1].split()[1] == "\\u65e5\\U0001f512"
    assert "claim(\\u2026)" in latin("demo", bare=True)


_WITHOUT_CLICK = (
    "import sys; sys.modules['click'] = None; "
    "from lease_actors.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def _in_a_shell(
    line: str, *arguments: str, url: str, bare: bool = False
) -> subprocess.CompletedProcess[str]:
    """The command in place of "$@", by an interpreter that starts anew; ``bare``: without the
    extra."""
    start = ("-c", _WITHOUT_CLICK) if bare else ("-m", "lease_actors")
    return subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, *start, *arguments],
        env={**os.environ, "LEASE_ACTORS_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_output_that_cannot_be_written_is_71(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    full = os.open("/dev/full", os.O_WRONLY)
    commands = (("ls",), ("ls", "--json"), ("show", "x"), ("watch",), ("--help",))
    started = [command.start(*c, out=full) for c in commands]
    os.close(full)
    done = [running.done() for running in started]
    assert [d for d in done if not d.is_one_line(71) or "No space left" not in d.err] == []


def test_without_the_extra_one_line_says_what_to_install() -> None:
    listing, version = (_in_a_shell('"$@"', a, url="", bare=True) for a in ("ls", "--version"))
    assert (listing.returncode, len(listing.stderr.splitlines())) == (2, 1)
    assert "pip install 'lease-actors[cli]'" in listing.stderr
    assert version.returncode == 0


def test_without_the_web_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['werkzeug'] = sys.modules['werkzeug.exceptions'] = None; "
        "from lease_actors.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "web", "--url", f"sqlite:///{tmp_path / 'x.db'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "pip install 'lease-actors[web]'" in done.stderr
