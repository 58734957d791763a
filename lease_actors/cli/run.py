"""``run``: a command that runs only while a lease is held."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
from contextlib import ExitStack

import click
from click.core import ParameterSource

from lease_actors.cli import status
from lease_actors.cli.options import SECONDS, WAIT, Target, on_leases
from lease_actors.cli.process.helper import Times
from lease_actors.cli.process.tree import NotStarted, Tree
from lease_actors.cli.signals import FORWARDED, Terminated, handling, terminate
from lease_actors.clock import Clock, SystemClock, micros
from lease_actors.errors import ClaimDenied, LeaseLost, WaitTimeout
from lease_actors.held import HeldLease

__all__ = ["COMMANDS"]

_MOST_GRACE = 10_000_000
_MOST_MARGIN = 500_000


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--lease", required=True, metavar="NAME")
@click.option("--holder", help="Who claims.  [default: this host and process]")
@click.option("--duration", "-d", type=SECONDS, default="30", show_default=True)
@click.option(
    "--wait",
    "-w",
    type=WAIT,
    default="forever",
    show_default=True,
    help="Stay so long in the queue if another has the lease.",
)
@click.option("--no-wait", is_flag=True, help="Have it at once or not at all.")
@click.option(
    "--grace",
    type=SECONDS,
    help="Between TERM and KILL: at most two fifths of the duration.  [default: a sixth of it, at"
    " most 10 s]",
)
@click.option(
    "--conflict-status",
    "-E",
    type=click.IntRange(0, 255),
    default=status.NOT_TO_BE_HAD,
    show_default=True,
    help="End with this status if the lease is not to be had; with 0 nothing is said of it.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@on_leases
def run(
    target: Target,
    lease: str,
    holder: str | None,
    duration: float,
    wait: float | None,
    no_wait: bool,
    grace: float | None,
    conflict_status: int,
    command: tuple[str, ...],
) -> int:
    """Run a command, and only while holding a lease: it is kept alive until the command ends.

    The command is a process group of its own, gets the signals that this program gets, and finds
    LEASE_ACTORS_LEASE, LEASE_ACTORS_TERM and LEASE_ACTORS_DEADLINE (seconds since 1970) in its
    environment. Its status is this program's. When the lease is lost it gets TERM, then KILL,
    before the lease may go to another (status 74). When it ends, all that it has started ends.
    """
    given = click.get_current_context().get_parameter_source("wait")
    if no_wait and given is not ParameterSource.DEFAULT:
        raise click.UsageError("--wait and --no-wait at once")
    times = _times(duration, grace)
    found = shutil.which(command[0])
    if found is None and not os.path.exists(command[0]):
        return _complain(f"there is no command {command[0]!r}", status.NOT_FOUND)
    clock = SystemClock()
    result: int | None = None
    try:
        # The helper is forked from a process that has no other thread yet: before the manager.
        with (
            Tree(clock) as tree,
            handling(FORWARDED, lambda signum: _pass_on(tree, signum)),
            target.open(create=True, clock=clock) as manager,
            ExitStack() as stack,
        ):
            holding = manager.claimer(*target.place).hold(
                lease,
                f"{socket.gethostname()}/{os.getpid()}" if holder is None else holder,
                duration,
                wait=0 if no_wait else wait,
                on_lost=lambda reason: tree.end() if tree.started else None,
            )
            try:
                held = stack.enter_context(holding)
            except (ClaimDenied, WaitTimeout) as error:
                # Whoever makes a success of it does not want to hear of it: cron mails each line.
                return _complain(str(error), conflict_status) if conflict_status else 0
            result = _attend(tree, held, command, times, clock)
    except Terminated:  # the command had ended: only the wait for the release was cut short
        if result is None:
            raise
    return result


def _attend(
    tree: Tree, held: HeldLease, command: tuple[str, ...], times: Times, clock: Clock
) -> int:
    """Run it to its end, moving its deadline on with each renewal; the status to end with."""
    deadline = _deadline(held, clock)
    try:
        tree.start(command, {**os.environ, **_environment(held, clock)}, deadline, times)
        if held.lost.is_set():  # before there was anything for its callback to end
            tree.end()
        pause = min(held.duration.total_seconds() / 30, 1.0)
        while (ended := tree.wait(pause)) is None:
            if (fresh := _deadline(held, clock)) > deadline:
                deadline = fresh
                tree.extend(deadline)
    except NotStarted as error:
        known = status.NOT_FOUND if error.errno == errno.ENOENT else status.NOT_EXECUTABLE
        return _complain(f"cannot run {command[0]!r}: {error.strerror}", known)
    finally:
        tree.close()  # nothing of it runs on when the lease is given back
    if ended.overdue:
        raise LeaseLost(
            f"lost lease {held.key.lease!r}: it could not be renewed in time, so the command was"
            " ended (is the database there, and the duration long enough?)",
            key=held.key,
            reason="expired",
        )
    return ended.status if ended.status >= 0 else status.SIGNALLED - ended.status


def _pass_on(tree: Tree, signum: int) -> None:
    """Signals are for the command; before there is one, and after it, they are for this program."""
    if not tree.signal(signum) and signum != signal.SIGWINCH:
        terminate(signum)


def _deadline(held: HeldLease, clock: Clock) -> int:
    """Until when it is certain, in steady microseconds; the clock is read first, so not later."""
    return clock.steady() + micros(held.remaining())


def _environment(held: HeldLease, clock: Clock) -> dict[str, str]:
    deadline = clock.wall() + micros(held.remaining())
    return {
        "LEASE_ACTORS_LEASE": held.key.lease,
        "LEASE_ACTORS_TERM": str(held.term),
        "LEASE_ACTORS_DEADLINE": str(deadline // 1_000_000),
    }


def _times(duration: float, grace: float | None) -> Times:
    span = int(duration * 1e6)
    # TERM no earlier than at half the time: the first renewal is due at a third of it.
    most = span * 2 // 5
    if grace is not None and grace * 1e6 > most:
        raise click.UsageError(
            f"--grace {grace:g} is too long for a duration of {duration:g} s: two fifths of it,"
            f" {most / 1e6:g} s, are the most"
        )
    usual = min(span // 6, _MOST_GRACE)
    return Times(
        grace=usual if grace is None else int(grace * 1e6), margin=min(span // 20, _MOST_MARGIN)
    )


def _complain(what: str, status: int) -> int:
    click.echo(f"lease-actors: {what}", err=True)
    return status


COMMANDS = (run,)
