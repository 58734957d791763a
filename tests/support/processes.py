"""Server processes: started, waited for, stopped; none outlives the one that started it."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0


def free_port() -> int:
    """A port of the loopback on which nobody listens, and which nobody else here is given.

    Whoever is given it takes it only a while later. So it is none of those that the system hands out
    by itself (from 32768 on), and each of the test processes has a thousand of its own.
    """
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable")


def _own_ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 20
    first = random.randrange(1000)  # another run of the tests may be at it on this machine
    return (12_000 + 1000 * worker + (first + n) % 1000 for n in itertools.count())


_ports = _own_ports()


def freeze(pid: int) -> None:
    """SIGSTOP, and return when all threads of the process stand still.

    The signal stops them only when one of them has taken note of it: on a busy machine the
    others go on meanwhile, and answer.
    """
    os.kill(pid, signal.SIGSTOP)
    _look_until(
        lambda: all(state == "T" for state in _states(pid)), f"process {pid} does not stand still"
    )


def _look_until(condition: Callable[[], bool], otherwise: str) -> None:
    tick = threading.Event()
    for _ in range(round(PATIENCE / 0.002)):
        if condition():
            return
        tick.wait(0.002)
    raise TimeoutError(otherwise)


def _states(pid: int) -> Iterator[str]:
    """Of each of its threads the letter that the kernel has for what it does."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            yield stat.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended


def _await_end(pids: Sequence[int]) -> None:
    """Return when nothing of them runs; whose child they are does not matter."""
    _look_until(
        lambda: all(state in "ZX" for pid in pids for state in _states(pid)),
        f"one of the processes {pids} does not end",
    )


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """A folder that other users can look into; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"lease-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged(folder: Path) -> str | None:
    """Some servers refuse to run as root: they run as nobody, and the folder becomes theirs."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    return "nobody"


class Server:
    """One program with its arguments; what it says goes into a file in the folder."""

    def __init__(
        self, command: Sequence[Any], folder: Path, user: str | None = None, port: int = 0
    ) -> None:
        self._command = [str(part) for part in command]
        self._folder = folder
        self._user = user
        self.port = port
        self._ready: Callable[[], object] = lambda: None
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def run(self) -> None:
        """Run it to its end."""
        self._spawn().wait(PATIENCE)
        assert self.process is not None
        assert self.process.returncode == 0, self._said()

    @contextmanager
    def running(self, ready: Callable[[], object]) -> Iterator[None]:
        """Run it during the block; ``ready`` raises until it can be used."""
        self._ready = ready
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Start it, and wait until it can be used."""
        self._spawn()
        assert self.process is not None
        tick = threading.Event()
        for _ in range(round(PATIENCE / 0.05)):
            if self.process.poll() is not None:
                raise AssertionError(f"{self._command[0]} has ended: {self._said()}")
            try:
                self._ready()
                return
            except Exception:
                tick.wait(0.05)
        self.stop()
        raise AssertionError(f"{self._command[0]} does not answer: {self._said()}")

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: by SIGINT in an orderly way at once, by SIGKILL as a crash.

        Returns when its children have ended, too: while one is there, another server does not start.
        """
        process = self.process
        if process is None or process.poll() is not None:
            return
        family = self.family()
        process.send_signal(signal.SIGCONT)
        process.send_signal(
            signal.SIGTERM if how == signal.SIGINT and self._ignores_sigint else how
        )
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
        _await_end(family)

    def restart(self, how: int = signal.SIGINT) -> None:
        """Stop it, and start it anew."""
        self.stop(how)
        self.start()

    def family(self) -> list[int]:
        """The process and its children (PostgreSQL has one a connection)."""
        found = [self.pid]
        for children in Path(f"/proc/{self.pid}/task").glob("*/children"):
            found += map(int, children.read_text().split())
        return found

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOPped, wholly, during the block."""
        family = self.family()
        for pid in family:
            freeze(pid)
        try:
            yield
        finally:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass

    @property
    def _ignores_sigint(self) -> bool:
        return self._command[0].endswith(("mariadbd", "mysqld"))

    def _spawn(self) -> subprocess.Popen[bytes]:
        with open(self._folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                start_new_session=True,  # Ctrl-C is for the tests alone
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        return self.process

    def _said(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-3000:]


_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Even if the tests are killed: the kernel sends the server SIGTERM then."""
    PR_SET_PDEATHSIG = 1
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
