"""Work that is done only while somebody holds a lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from lease_actors.capabilities import Checker, Claimer
from lease_actors.errors import LeaseError, WaitCancelled

__all__ = ["run_while_held"]

T = TypeVar("T")


def run_while_held(
    claimer: Claimer,
    checker: Checker,
    lease: str,
    holder: str,
    work: Callable[[threading.Event], T],
) -> T:
    """Call ``work(cancelled)`` if that holder has the lease; ``cancelled`` is set when it ends.

    Returns what ``work`` returns and raises what it raises. Nobody keeps the lease alive here:
    that is the holder's business, perhaps in another process. ``cancelled`` is set when the
    tenure has ended in the store and this manager has seen it, or when the manager stops; a
    store that is away tells nobody anything, so a holder's own work belongs into ``hold()``.

    Raises ``NotHeld`` if that holder does not hold it, ``NotValid``, ``LeaseTimeout``,
    ``StoreError`` and ``ManagerStopped``, all before ``work`` is called.
    """
    with _watching(claimer, lease) as cancelled:
        # The wait is registered: a tenure that ends from here on is noticed. Were it the other
        # way round, one could end between the check and the wait, and nobody would be told.
        checker.token(lease, holder).check()
        return work(cancelled)


@contextmanager
def _watching(claimer: Claimer, lease: str) -> Iterator[threading.Event]:
    """An event that is set when the tenure which stands now has ended; the wait has begun."""
    begun, ended, over = threading.Event(), threading.Event(), threading.Event()
    failures: list[LeaseError] = []

    def watch() -> None:
        try:
            claimer.wait_until_expired(lease, cancel=over, started=begun)
        except WaitCancelled:
            pass
        except LeaseError as error:
            failures.append(error)
        finally:
            ended.set()
            begun.set()

    thread = threading.Thread(target=watch, name="lease end", daemon=True)
    thread.start()
    try:
        begun.wait()
        if failures:
            raise failures[0]
        yield ended
    finally:
        over.set()
        thread.join()
