"""The debug dump: what a manager that cannot stop leaves for whoever has to find out why."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lease_actors.clock import from_instant
from lease_actors.observability.logging import ManagerLog

NAME = "lease-manager-debug.log"


def write(directory: Path | None, wall: int, report: Mapping[str, Any], log: ManagerLog) -> None:
    """Append time, entity, counts and the stacks of all threads to the dump in ``directory``,
    and warn. Without a directory, or if that cannot be written, the log gets the dump."""
    text = _text(wall, report)
    where = "here it is:\n" + text
    if directory is not None:
        try:
            # A thread's name or a path may hold what is no Unicode (``os.fsdecode``).
            file = (directory / NAME).open("a", encoding="utf-8", errors="backslashreplace")
            with file:
                file.write(text)
            where = f"see {directory / NAME}"
        except OSError as error:
            where = f"its dump could not be written ({error}); {where}"
    log.warning(
        "stopping took too long, what is left is abandoned; %s", where, extra={"action": "dump"}
    )


def _text(wall: int, report: Mapping[str, Any]) -> str:
    lines = [f"==== {from_instant(wall).isoformat()} the lease manager could not stop in time"]
    lines += [f"{name}: {value}" for name, value in report.items()]
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        lines.append(f"---- thread {names.get(ident, ident)}")
        lines += [line.rstrip() for line in traceback.format_stack(frame)]
    return "\n".join(lines) + "\n"
