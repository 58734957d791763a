"""The helper: a small process that starts the command, and sees to it that nothing outlives the lease.

It stands between the wrapper, which keeps the lease, and the command::

    wrapper  --pipe-->  helper  --parent of-->  command (leader of a process group of its own)
      keeps the lease     keeps the time          and all that it starts

A process group dies with nobody, and a signal at the parent's death reaches only direct
children. The pipe does better: when the wrapper is gone, however it went, the helper reads the
end of the pipe and ends the tree. The time is kept here too. The wrapper only moves the
deadline on, so a wrapper that was stopped, or hangs, costs the command its life in time.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lease_actors.cli.process import linux
from lease_actors.cli.process.channel import Inlet, Outlet
from lease_actors.clock import Clock

__all__ = ["Helper", "Times"]

_POLL = 0.02
"""So often (seconds) it looks whether those it killed are gone."""

_DEAF_TO = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE),
)


@dataclass(frozen=True, slots=True)
class Times:
    """``grace``: between TERM and KILL. ``margin``: between KILL and the deadline. Microseconds."""

    grace: int
    margin: int


class Helper:
    """Runs in a process of its own, from a fork of the wrapper to the end of the tree."""

    def __init__(self, control: Inlet, status: Outlet, clock: Clock, terminal: int | None) -> None:
        self._control, self._status, self._clock = control, status, clock
        self._terminal = terminal
        """The wrapper's process group, if it has the terminal to hand on."""
        self._adopts = linux.adopt_orphans()
        self._times = Times(0, 0)
        self._deadline = 0
        self._group: int | None = None
        self._result: int | None = None
        self._kill_at: int | None = None
        self._overdue = False

    def run(self) -> None:
        """Serve the wrapper until the tree is gone, or there never was one."""
        self._wake = self._hear_signals()
        while not self._control.ended or self._group is not None:
            self._wait()
            self._reap()
            self._keep_time()
            if self._group is not None and self._result is not None and self._all_gone():
                self._hand_terminal(self._terminal)
                self._status.send(ended=self._result, overdue=self._overdue)
                return

    # -- hearing -------------------------------------------------------------------------

    def _hear_signals(self) -> int:
        """Signals are for the command. They are caught, not ignored: what is ignored would stay
        so in the command, and what was ignored before us (nohup) shall."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        for signum in (*_DEAF_TO, signal.SIGCHLD):
            if signum in (signal.SIGCHLD, signal.SIGPIPE) or (
                signal.getsignal(signum) != signal.SIG_IGN
            ):
                signal.signal(signum, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        return reader

    def _wait(self) -> None:
        sources = [self._wake] if self._control.ended else [self._wake, self._control.fd]
        ready, _, _ = select.select(sources, [], [], self._patience())
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._control.fd in ready:
            for message in self._control.receive():
                self._obey(message)
            if self._control.ended:
                self._end_tree()

    def _patience(self) -> float | None:
        if self._group is None:
            return None
        if self._kill_at is not None:
            return _POLL
        left = self._term_at() - self._clock.steady()
        return min(max(0.0, left / 1e6), 1.0)  # the steady time may jump: the machine slept

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"start": argv, "environment": environment, "deadline": deadline, **times}:
                self._times, self._deadline = Times(**times), deadline
                self._start(argv, environment)
            case {"deadline": deadline}:
                self._deadline = deadline
            case {"signal": signum} if self._result is None:
                self._signal_group(signum)
            case {"end": True}:
                self._end_tree()

    # -- the command ---------------------------------------------------------------------

    def _start(self, argv: list[str], environment: dict[str, str]) -> None:
        die_with_parent = linux.die_with_parent()

        def prepare() -> None:
            self._hand_terminal(os.getpid())
            die_with_parent()

        try:
            process = subprocess.Popen(argv, env=environment, process_group=0, preexec_fn=prepare)
        except OSError as error:
            self._status.send(failed=error.errno)
            return
        self._process = process  # let go of, it would reap the command behind our back
        self._group = process.pid
        self._status.send(started=process.pid)

    def _hand_terminal(self, group: int | None) -> None:
        """The command is in the foreground of the terminal, if the wrapper was: it reads there,
        and has Ctrl-C at first hand."""
        if self._terminal is None or group is None:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        try:
            os.tcsetpgrp(0, group)
        except OSError:
            pass  # the terminal, or the wrapper, is gone
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTTOU])

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                if os.WSTOPSIG(status) == signal.SIGTSTP:
                    self._signal_group(signal.SIGCONT)  # who holds a lease is not laid aside
            elif pid == self._group:
                self._result = status
                self._end_tree()  # what it has left behind has no lease any more

    # -- the end -------------------------------------------------------------------------

    def _term_at(self) -> int:
        return self._deadline - self._times.margin - self._times.grace

    def _keep_time(self) -> None:
        if self._group is None:
            return
        now = self._clock.steady()
        if self._kill_at is None and now >= self._term_at():
            self._overdue = True
            self._end_tree()
        elif self._kill_at is not None and now >= min(self._kill_at, self._last_instant()):
            self._signal_tree(signal.SIGKILL)

    def _last_instant(self) -> int:
        return self._deadline - self._times.margin

    def _end_tree(self) -> None:
        """TERM now; KILL when the grace is over, but before the deadline in any case."""
        if self._group is None or self._kill_at is not None:
            return
        self._kill_at = min(self._clock.steady() + self._times.grace, self._last_instant())
        self._signal_tree(signal.SIGTERM)
        self._signal_tree(signal.SIGCONT)  # what is stopped would not hear it

    def _signal_tree(self, signum: int) -> None:
        # Those that have left the group first: an orphan is found below us, wherever it belongs.
        if self._adopts:
            _signal_each(filter(self._has_left, linux.descendants(os.getpid())), signum)
        self._signal_group(signum)

    def _has_left(self, pid: int) -> bool:
        try:
            return os.getpgid(pid) != self._group
        except ProcessLookupError:
            return False

    def _signal_group(self, signum: int) -> None:
        if self._group is None:
            return
        try:
            os.killpg(self._group, signum)
        except (ProcessLookupError, PermissionError):
            pass  # it is empty, or (macOS) only zombies are left in it

    def _all_gone(self) -> bool:
        """Whether the tree has ended. Where orphans are adopted it is enough to have no child."""
        assert self._group is not None
        try:
            if self._adopts:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            else:
                os.killpg(self._group, 0)
        except (ChildProcessError, ProcessLookupError, PermissionError):
            return True
        return False


def _signal_each(pids: Iterable[int], signum: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signum)
        except (ProcessLookupError, PermissionError):
            pass
