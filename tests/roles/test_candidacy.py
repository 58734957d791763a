"""A candidacy that is called off: whenever that comes, nobody waits and nothing stays held."""

from __future__ import annotations

import threading

import pytest
from support.faults import PATIENCE
from support.managers import Calling, blocked, until

from lease_actors import Lease, Manager
from lease_actors.held import ClaimFuture
from lease_actors.roles import Election
from lease_actors.roles.candidacy import Candidacy


class SetBehindTheBack(threading.Event):
    """Looked at for the first time it is not set; from then on it is."""

    def is_set(self) -> bool:
        was = super().is_set()
        self.set()
        return was


def is_free(manager: Manager) -> bool:
    return manager.reader("ns").get("app") is None


def test_a_stop_between_the_look_and_the_claim_is_seen(lease_manager: Manager) -> None:
    claimer = lease_manager.claimer("ns")
    claimer.claim("app", "another", 3600)
    candidacy = Candidacy(claimer, "app", "ann", 30, SetBehindTheBack())
    assert Calling(candidacy.wait).outcome() is False
    until(lambda: lease_manager.reader("ns").waiting("app") == [], "an empty queue")


def test_a_stop_before_the_term_begins_is_seen_in_it(lease_manager: Manager) -> None:
    stop = threading.Event()
    stop.set()
    with Candidacy(lease_manager.claimer("ns"), "app", "ann", 30, stop).term() as term:
        assert term is not None
        assert term.lost.is_set()
        term.check()
    assert is_free(lease_manager)


def test_what_is_attributed_just_before_the_stop_is_given_back_unused(
    lease_manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimer, stop = lease_manager.claimer("ns"), threading.Event()
    claimer.claim("app", "another", 3600)
    wait = Candidacy.wait

    def wait_and_stop(candidacy: Candidacy) -> bool:
        attributed = wait(candidacy)
        stop.set()
        return attributed

    monkeypatch.setattr(Candidacy, "wait", wait_and_stop)
    run = Calling(Election(claimer, "app", "ann").run, pytest.fail, stop=stop)
    blocked(lease_manager, 1)
    lease_manager.revoker("ns").revoke("app", "another")
    assert run.outcome() is None
    assert is_free(lease_manager)


def test_what_is_attributed_to_who_leaves_by_an_exception_is_given_back(
    lease_manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = ClaimFuture.get

    def get_and_interrupt(future: ClaimFuture, *, timeout: float | None = None) -> Lease:
        monkeypatch.undo()
        get(future, timeout=PATIENCE)
        raise KeyboardInterrupt

    candidacy = Candidacy(lease_manager.claimer("ns"), "app", "ann", 30, threading.Event())
    monkeypatch.setattr(ClaimFuture, "get", get_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        candidacy.wait()
    assert is_free(lease_manager)


def test_who_leaves_the_queue_by_an_exception_is_out_of_it(
    lease_manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimer = lease_manager.claimer("ns")
    claimer.claim("app", "another", 3600)

    def interrupt(future: ClaimFuture, *, timeout: float | None = None) -> Lease:
        blocked(lease_manager, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(ClaimFuture, "get", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Candidacy(claimer, "app", "ann", 30, threading.Event()).wait()
    blocked(lease_manager, 0)
