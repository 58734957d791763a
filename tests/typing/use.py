"""Type-checked, never run: the library as its users write it."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry

import lease_actors
from lease_actors import (
    MAX_SLEEP,
    Check,
    Checker,
    Claim,
    ClaimDenied,
    Claimer,
    ClaimFuture,
    Clock,
    HeldLease,
    Key,
    Lease,
    LeaseError,
    LeaseLost,
    LeaseTimeout,
    Manager,
    ManagerConfig,
    MemoryStore,
    NotValid,
    PastTenure,
    Pin,
    Pinner,
    Reader,
    Revoke,
    Revoker,
    Secretary,
    SecretaryFinder,
    SqlStore,
    Store,
    SystemClock,
    Token,
    Unpin,
    Waiter,
    WaitTimeout,
)
from lease_actors.secretaries import ApplicationLeadership, FixedSecretaries, SingularController


def see(*values: object) -> None:
    """The names are used."""


version: str = lease_actors.__version__
longest: timedelta = MAX_SLEEP


def start_and_stop() -> None:
    with Manager.open("sqlite:///leases.db", call_timeout=10, log_dir="/tmp") as manager:
        report: dict[str, Any] = manager.report()
        see(report)
    manager.kill()
    manager.wait(timeout=timedelta(seconds=5))
    manager.wait()


def configure() -> ManagerConfig:
    store: Store = SqlStore("sqlite:///leases.db", create_schema=True)
    config = ManagerConfig(
        store,
        secretary_finder=FixedSecretaries({"application-leadership": ApplicationLeadership()}),
        tracer=trace.get_tracer("mine"),
        logger=logging.getLogger("mine"),
        clock=SystemClock(),
        max_sleep=timedelta(seconds=30),
        entity_uuid="0f3e6a",
        log_dir=None,
        prometheus_registerer=CollectorRegistry(),
        call_timeout=30,
        attempt_timeout=5.0,
        offer_window=timedelta(seconds=5),
    )
    config.validate()
    return config


def claims(manager: Manager) -> None:
    claimer: Claimer = manager.claimer("jobs")
    lease: Lease = claimer.claim("report", "me", 30)
    lease = claimer.claim("report", "me", timedelta(seconds=30), wait=None)
    lease = claimer.claim("report", "me", 0.25, wait=timedelta(seconds=1))
    key: Key = lease.key
    names: tuple[str, str, str] = (key.namespace, key.model_uuid, key.lease)
    term: int = lease.term
    instants: tuple[datetime, datetime] = (lease.granted_at, lease.expiry)
    left: timedelta = lease.remaining()
    see(names, term, instants, left, lease.duration, lease.pinned)

    with claimer.claim_future("report", "me", 30) as future:
        typed: ClaimFuture = future
        got: Lease = typed.get(timeout=timedelta(seconds=1))
        never: bool = typed.cancel()
        see(got, never)

    def lost(reason: str) -> None:
        see(reason)

    with claimer.hold("report", "me", 30, wait=5, on_lost=lost, on_endangered=print) as held:
        kept: HeldLease = held
        event: threading.Event = kept.lost
        deadline: datetime = kept.deadline
        kept.check()
        see(event, deadline, kept.remaining(), kept.term)
        kept.release(at=deadline)
        kept.release()

    claimer.wait_until_expired(
        "report", timeout=5, cancel=threading.Event(), started=threading.Event()
    )


def the_other_four(manager: Manager) -> None:
    checker: Checker = manager.checker("jobs", "a-model")
    token: Token = checker.token("report", "me")
    token.check()

    pinner: Pinner = manager.pinner("jobs", model_uuid="a-model")
    pinner.pin("report", "upgrade")
    pinner.unpin("report", "upgrade")
    pinned: dict[str, list[str]] = pinner.pinned()
    with pinner.pinning("report", "upgrade"):
        pass

    reader: Reader = manager.reader("jobs")
    leases: dict[str, str] = reader.leases()
    one: Lease | None = reader.get("report")
    waiting: list[Waiter] = reader.waiting("report")
    first: tuple[str, int, datetime] = (waiting[0].holder, waiting[0].position, waiting[0].since)

    past: list[PastTenure] = reader.history("report", limit=10, since=first[2], until=None)
    tenure: tuple[str, int, datetime, datetime, str] = (
        past[0].holder,
        past[0].term,
        past[0].granted_at,
        past[0].ended_at,
        past[0].ended,
    )
    everybodys: list[PastTenure] = reader.history()

    revoker: Revoker = manager.revoker("jobs")
    revoker.revoke("report", "me", timeout=timedelta(seconds=1))
    see(pinned, leases, one, first, tenure, everybodys)


def raw_door(manager: Manager) -> None:
    key = Key("jobs", "", "report")
    manager.ask(Claim(key, "me", timedelta(seconds=30)), timeout=1.0)
    manager.ask(Check(key, "me"), block=False).get(timeout=1.0)
    manager.tell(Pin(key, "upgrade"))
    manager.tell(Unpin(key, "upgrade"))
    manager.tell(Revoke(key, "me"))


def errors(claimer: Claimer) -> None:
    try:
        claimer.claim("report", "me", 30)
    except (ClaimDenied, NotValid) as error:
        key: Key | None = error.key
        see(key)
    except (LeaseTimeout, WaitTimeout) as timeout:
        builtin: TimeoutError = timeout
        see(builtin)
    except LeaseLost as lost:
        reason: str = lost.reason
        see(reason)
    except LeaseError:
        pass


class OnlyShort:
    """A secretary of the user's own."""

    def check_lease(self, key: Key) -> None:
        if len(key.lease) > 10:
            raise NotValid("at most ten characters")

    def check_holder(self, name: str) -> None:
        pass

    def check_duration(self, duration: timedelta) -> None:
        pass


class MyNamespaces:
    def secretary_for(self, namespace: str) -> Secretary:
        return OnlyShort()


finder: SecretaryFinder = MyNamespaces()
secretary: Secretary = SingularController("5c9f1e5b-8a0f-4e0e-9a5f-2f1b8f6b2c11")
clock: Clock = SystemClock()
memory: Store = MemoryStore()
