"""What ``doctor`` looks at, one plain verdict each. Writes nothing but rows of starts, which are
pruned like any other."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lease_actors.actors.runtime import new_start
from lease_actors.cli.output import left
from lease_actors.clock import Clock
from lease_actors.core.model import Key, Notice
from lease_actors.errors import LeaseError
from lease_actors.stores import Batch, Changes, SqlStore, StorePassing

__all__ = ["Verdict", "examine"]

_KEY = Key("lease-actors", "", "doctor")
_TIMES = 15
_HEARING = 3.0
_SLOW_TRIP, _SLOW_COMMIT, _FAR = 20_000, 100_000, 1_000_000


@dataclass(frozen=True)
class Verdict:
    """``mark``: ``ok``, ``warn`` (it works, but) or ``bad``. ``advice``: what to do, if anything."""

    check: str
    mark: str
    finding: str
    advice: str = ""


def examine(make: Callable[[], SqlStore], clock: Clock) -> Iterator[Verdict]:
    """The verdicts one by one; where one makes the rest impossible, it is the last."""
    try:
        store = make()
    except LeaseError as error:
        yield Verdict("connect", "bad", str(error))  # which says what to do, too
        return
    try:
        yield from _with_store(store, clock)
    finally:
        store.close()


def _with_store(store: SqlStore, clock: Clock) -> Iterator[Verdict]:
    for check in (_connect, _schema):
        verdict = check(store, clock)
        yield verdict
        if verdict.mark == "bad":
            return
    for check in (_clock, _round_trip, _commit, _notification):
        try:
            yield check(store, clock)
        except (LeaseError, StorePassing) as error:
            name = check.__name__.strip("_").replace("_", " ")
            yield Verdict(name, "bad", str(error), "look at the server's log, and try again")


def _connect(store: SqlStore, clock: Clock) -> Verdict:
    file = store.engine.url.database or ""
    plain = store.engine.dialect.name == "sqlite" and not file.startswith("file:")
    if plain and not os.path.exists(file):
        return Verdict(
            "connect",
            "bad",
            f"there is no file {file!r}",
            "correct the path, or: lease-actors db init",
        )
    began = clock.steady()
    try:
        store.engine.connect().close()
    except Exception as error:  # the driver's own, of whatever kind
        advice = "see that the server runs, and that host, port, name and password are right"
        return Verdict("connect", "bad", _first_line(error), advice)
    return Verdict("connect", "ok", f"{store!r} answers, first after {_ms(clock.steady() - began)}")


def _schema(store: SqlStore, clock: Clock) -> Verdict:
    try:
        store.open(clock)
    except (LeaseError, StorePassing) as error:
        return Verdict("schema", "bad", str(error), "lease-actors db init, or db upgrade")
    return Verdict("schema", "ok", "the tables are there, of a version that this program knows")


def _clock(store: SqlStore, clock: Clock) -> Verdict:
    offsets = []
    for _ in range(_TIMES):
        began, wall = clock.steady(), clock.wall()
        theirs = store.now()
        trip = clock.steady() - began
        offsets.append((trip, theirs - wall - trip // 2))
    trip, offset = min(offsets)  # the quickest answer says most
    way = "ahead of" if offset > 0 else "behind"
    finding = f"the store's clock is {_ms(abs(offset))} {way} this machine's (± {_ms(trip // 2)})"
    if abs(offset) <= _FAR:
        return Verdict("clock", "ok", finding)
    advice = (
        "leases go by the store's clock alone, so none is endangered; but instants in logs of"
        " this machine do not compare: run NTP on both"
    )
    return Verdict("clock", "warn", finding, advice)


def _round_trip(store: SqlStore, clock: Clock) -> Verdict:
    middle, worst = _measure(clock, lambda: store.get(_KEY))
    finding = f"a read takes {_ms(middle)}, at worst {_ms(worst)} of {_TIMES}"
    if middle <= _SLOW_TRIP:
        return Verdict("round trip", "ok", finding)
    return Verdict("round trip", "warn", finding, "run closer to the database")


def _commit(store: SqlStore, clock: Clock) -> Verdict:
    start = new_start()
    store.begin(start)
    numbers = iter(range(1, _TIMES + 1))
    middle, worst = _measure(
        clock, lambda: store.apply(Batch(start, next(numbers), {}, lambda *_: Changes(())))
    )
    finding = f"a durable commit takes {_ms(middle)}, at worst {_ms(worst)} of {_TIMES}"
    if middle <= _SLOW_COMMIT:
        return Verdict("commit", "ok", finding)
    return Verdict("commit", "warn", finding, "look at the server's disk: each claim waits for one")


def _notification(store: SqlStore, clock: Clock) -> Verdict:
    ours, theirs, heard = new_start(), new_start(), threading.Event()
    listener = store.listen(ours, lambda notices: heard.set() if notices else None)
    if listener is None:
        how = "by polling, which costs little" if store.version() is not None else "by polling"
        return Verdict("notification", "ok", f"there is none here: others are heard of {how}")
    try:
        store.begin(theirs)
        waited = _tell_until_heard(store, theirs, heard, clock)
    finally:
        listener.close()
    if waited is not None:
        return Verdict("notification", "ok", f"a notice was heard {_ms(waited)} after it was sent")
    return Verdict(
        "notification",
        "warn",
        f"no notice was heard within {left(timedelta(seconds=_HEARING))}: polling takes its place",
        "is a pooler in transaction mode in between? then hand-overs come by polling, some slower",
    )


def _tell_until_heard(
    store: SqlStore, start: str, heard: threading.Event, clock: Clock
) -> int | None:
    """Notices until one is heard: the first may have been sent before the listener listens."""
    began = clock.steady()
    for number in range(1, 100):
        sent = clock.steady()
        if sent - began > _HEARING * 1e6:
            break
        changes = Changes((), notices=(Notice(_KEY),))
        store.apply(Batch(start, number, {}, lambda *_, changes=changes: changes))
        if heard.wait(0.2):
            return clock.steady() - sent
    return None


def _measure(clock: Clock, what: Callable[[], Any]) -> tuple[int, int]:
    """The median and the worst of so many times."""
    times = []
    for _ in range(_TIMES):
        began = clock.steady()
        what()
        times.append(clock.steady() - began)
    return int(statistics.median(times)), max(times)


def _ms(micros: int) -> str:
    return (
        f"{micros / 1000:.1f} ms" if micros < 10_000_000 else left(timedelta(microseconds=micros))
    )


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())
