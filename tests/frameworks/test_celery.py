"""docs/frameworks/celery.md: of several beats one beats."""

from __future__ import annotations

import base64
import json
import signal
import sys
from pathlib import Path

import pytest
from support.managers import until
from support.pages import write_files
from support.programs import Program

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


PAGE = "frameworks/celery.md"

_FOR_THE_TEST = """
app.conf.beat_schedule["report"]["schedule"] = 0.2
app.conf.broker_transport_options = {"data_folder_in": "broker", "data_folder_out": "broker"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write_files(PAGE, tmp_path) == ["tasks.py", "one_beat.py"]
    (tmp_path / "broker").mkdir()
    with (tmp_path / "tasks.py").open("a", encoding="utf-8") as stream:
        stream.write(_FOR_THE_TEST)
    return tmp_path


def one_beat(folder: Path) -> Program:
    env = {
        "BROKER_URL": "filesystem://",
        "LEASES_URL": f"sqlite:///{folder / 'leases.db'}",
    }
    return Program(sys.executable, "one_beat.py", cwd=folder, env=env)


def senders(folder: Path) -> list[int]:
    """The process ids of those who have sent the tasks that are in the broker's folder."""
    messages = []
    for file in (folder / "broker").glob("*.msg"):
        try:
            messages.append(json.loads(file.read_bytes()))
        except json.JSONDecodeError:
            pass  # it is being written; or its writer was killed meanwhile
    assert all(m["headers"]["task"] == "tasks.report" for m in messages)
    assert all(json.loads(base64.b64decode(m["body"]))[0] == [] for m in messages)
    return [int(m["headers"]["origin"].removeprefix("gen").split("@")[0]) for m in messages]


@pytest.mark.parametrize("asked_to_end", [signal.SIGTERM, signal.SIGINT])
def test_one_beats_and_when_it_dies_another_does(
    folder: Path, asked_to_end: signal.Signals
) -> None:
    with one_beat(folder) as first:
        assert first.line("beating, term") == "1"
        with one_beat(folder) as second:
            until(lambda: len(senders(folder)) >= 5, "five tasks")
            assert set(senders(folder)) == {first.pid}
            first.kill(signal.SIGKILL)
            assert second.line("beating, term") == "2"
            sent = senders(folder).count(first.pid)
            until(lambda: second.pid in senders(folder), "a task of the second")
            second.kill(asked_to_end)
            assert second.status() == 0
            assert senders(folder).count(first.pid) == sent
