"""Starts the command by forking a process that has imported it already.

A Python that starts and imports costs half a second of a processor; most tests are not about
that. What comes out is a process of its own all the same, with its own signals and status.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable

__all__ = ["Launcher", "Process"]


class Process:
    """A process that the launcher has started; as far as needed like a ``Popen``."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid
        self.returncode: int | None = None

    def wait(self, timeout: float | None) -> int:
        """Its status, once it has ended."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = int(self._connection.recv(64) or b"-9")
            self._connection.close()
        return self.returncode

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.returncode is None:
            for signum in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.kill(self.pid, signum)
                except ProcessLookupError:
                    pass
            self.wait(30)


class Launcher:
    """A process without threads that forks one for each command."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, __file__, str(theirs.fileno())],
            dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), theirs.fileno())],
        )
        theirs.close()

    def start(
        self, arguments: list[str], environment: dict[str, str], descriptors: tuple[int, int, int]
    ) -> Process:
        """Start the command with those as its standard input, output and error."""
        ours, theirs = socket.socketpair()
        message = json.dumps([arguments, environment]).encode()
        socket.send_fds(self._ours, [message], [*descriptors, theirs.fileno()])
        theirs.close()
        return Process(ours, int(ours.recv(64)))

    def close(self) -> None:
        """Start nothing more."""
        self._ours.close()
        os.waitpid(self._pid, 0)


def _serve(connection: socket.socket, main: Callable[[list[str]], int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the watchers are nobody's
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            connection.close()
            _watch(*json.loads(message), descriptors, main)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(
    arguments: list[str],
    environment: dict[str, str],
    descriptors: list[int],
    main: Callable[[list[str]], int],
) -> None:
    """The command's parent: tells its number, then its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answer = socket.socket(fileno=descriptors.pop())
    pid = os.fork()
    if pid == 0:
        answer.close()
        _become(arguments, environment, descriptors, main)
    for descriptor in descriptors:
        os.close(descriptor)
    answer.send(str(pid).encode())
    _, result = os.waitpid(pid, 0)
    answer.send(str(os.waitstatus_to_exitcode(result)).encode())
    os._exit(0)


def _become(
    arguments: list[str],
    environment: dict[str, str],
    descriptors: list[int],
    main: Callable[[list[str]], int],
) -> None:
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    # The launcher's own know what they led to, a file that can be sought in for instance.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    # As from a terminal, though the tests themselves may run under nohup or in the background: a
    # signal that is ignored from the start cannot be trapped by the command's shell.
    for signum in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.exit(main(arguments))


if __name__ == "__main__":
    import importlib

    for name in ("sqlite3", "sqlalchemy.dialects.sqlite", "lease_actors.web", "waitress.server"):
        importlib.import_module(name)
    importlib.import_module("sqlalchemy.dialects.postgresql.psycopg")
    command = importlib.import_module("lease_actors.cli.main")
    gc.freeze()  # what the children share stays shared
    _serve(socket.socket(fileno=int(sys.argv[1])), command.main)
