"""The wrapper's side: a command and all that it starts, run by a helper."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from lease_actors.cli.process.channel import Inlet, Outlet
from lease_actors.cli.process.helper import Helper, Times
from lease_actors.clock import Clock

__all__ = ["Ended", "NotStarted", "Tree"]


class NotStarted(OSError):
    """The command could not be started."""


class Ended:
    """How the command ended: its wait status; ``overdue``, if it was ended for lack of time."""

    def __init__(self, result: int, *, overdue: bool) -> None:
        self.status = os.waitstatus_to_exitcode(result)
        self.overdue = overdue


class Tree:
    """A command under a helper. The helper is forked by the constructor, which must be called
    while this process has no other thread; the command is started later, by ``start``.

    It is ended (TERM, then KILL) when it is told to, before the deadline that was last given,
    and when this process is gone. As a context manager: when the block is left, it is over.
    """

    def __init__(self, clock: Clock) -> None:
        self.started = False
        """Set once the command is known to run."""
        self._starting = False
        self._early: list[int] = []
        self._clock = clock
        self._group: int | None = None
        self._ended: Ended | None = None
        hears, tells = os.pipe()
        replies, answers = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._helper = os.fork()
        if self._helper == 0:
            os.close(tells)
            os.close(replies)
            _be_helper(Inlet(hears), Outlet(answers), clock)
        os.close(hears)
        os.close(answers)
        self._control, self._replies = Outlet(tells), Inlet(replies)

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], deadline: int, times: Times
    ) -> None:
        """Start the command, to be over before ``deadline`` (steady microseconds).

        Raises ``NotStarted`` with the system's error number.
        """
        self._starting = True
        self._control.send(
            start=list(argv), environment=dict(environment), deadline=deadline, **asdict(times)
        )
        while self._group is None and self._ended is None:
            self._receive(None)
        self.started = True
        for signum in self._early:
            self._control.send(signal=signum)

    def extend(self, deadline: int) -> None:
        """The command may run until then."""
        self._control.send(deadline=deadline)

    def signal(self, signum: int) -> bool:
        """Pass a signal on to the command's group; False: there is no command yet, or no more.

        To be called by signal handlers: what comes while the command is being started, and may
        run already, is passed on as soon as it is known to.
        """
        if self._helper == 0:  # closed
            return False
        if self.started:
            self._control.send(signal=int(signum))
        elif self._starting:
            self._early.append(int(signum))
        return self._starting

    def end(self) -> None:
        """Begin to end it: TERM, and KILL after the grace."""
        self._control.send(end=True)

    def wait(self, timeout: float | None) -> Ended | None:
        """How it ended, as soon as it has; None if it has not, after ``timeout`` seconds."""
        if self._ended is None:
            self._receive(timeout)
        return self._ended

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it if it has not ended, and wait until it has."""
        self._control.close()
        if self._helper == 0:
            return  # done before
        if self._group is not None:
            while self._ended is None:
                self._receive(None)
        os.waitpid(self._helper, 0)
        self._helper = 0
        self._replies.close()

    def _receive(self, timeout: float | None) -> None:
        ready, _, _ = select.select([self._replies.fd], [], [], timeout)
        if not ready:
            return
        for message in self._replies.receive():
            if "failed" in message:
                raise NotStarted(message["failed"], os.strerror(message["failed"]))
            if "started" in message:
                self._group = message["started"]
            if "ended" in message:
                self._ended = Ended(message["ended"], overdue=message["overdue"])
        if self._replies.ended and self._ended is None:
            self._helper_gone()

    def _helper_gone(self) -> None:
        """Somebody killed the helper: what it kept is killed too."""
        if self._group is not None:
            try:
                os.killpg(self._group, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._ended = Ended(signal.SIGKILL, overdue=False)


def _be_helper(control: Inlet, status: Outlet, clock: Clock) -> None:
    """In the forked child: serve, and never come back."""
    code = 1
    try:
        terminal = _terminal_group()
        os.setpgid(0, 0)  # what is sent to the wrapper's group is not meant for it
        Helper(control, status, clock, terminal).run()
        code = 0
    finally:
        os._exit(code)


def _terminal_group() -> int | None:
    """This process's group, if it has the terminal's foreground to hand on."""
    try:
        return os.getpgrp() if os.tcgetpgrp(0) == os.getpgrp() else None
    except OSError:
        return None
