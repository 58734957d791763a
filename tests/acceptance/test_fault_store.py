"""A store that raises, hangs, loses the reply of a commit: a clear error, nothing lost."""

from __future__ import annotations

import logging
import threading

import pykka
import pytest
from acceptance.support import pass_manager
from support.faults import (
    PATIENCE,
    FaultyStore,
    Hang,
    HangAfterCommit,
    HangAfterDeciding,
    committed_then,
    passing,
    poison,
    raises,
    reply_lost,
    start_lost,
)
from support.managers import Calling, Log, advance_until, blocked, managing, until

from lease_actors import (
    ClaimDenied,
    LeaseTimeout,
    Manager,
    ManagerConfig,
    StoreError,
    WaitCancelled,
)
from lease_actors.testing.clock import FakeClock


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def test_what_may_pass_is_tried_again(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        store.then(passing, passing, passing)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        assert future.get().term == 1
        assert manager.report()["retries"] == 3
        assert store.batches == [1, 1, 1, 1]


def test_after_ten_retries_the_callers_of_that_batch_may_infer_nothing(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock, call_timeout=3600) as manager:
        store.always(passing)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        with pytest.raises(LeaseTimeout, match="locked") as caught:
            future.get()
        assert caught.value.key is not None
        assert store.attempts == 11
        store.always(None)
        assert manager.claimer("ns").claim("other", "me", 60).term == 1


def test_the_inbox_is_open_while_a_batch_is_retried(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.always(passing)
        first = claimer.claim_future("app", "me", 60)
        assert store.wait_for_attempts(1)
        second = claimer.claim_future("other", "me", 60)
        assert second.cancel()
        assert manager.report()["outstanding-claims"] == 1
        advance_until(clock, lambda: first.is_settled)
        with pytest.raises(LeaseTimeout):
            first.get()
        store.always(None)
        last = claimer.claim_future("third", "me", 60)
        advance_until(clock, lambda: last.is_settled)


def test_a_lost_reply_is_answered_with_what_was_committed(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        store.then(reply_lost)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        assert future.get().term == 1
        store.then(reply_lost)
        revoked = manager.ask(_revoke("me"), block=False)
        advance_until(clock, lambda: revoked.is_settled)
        assert revoked.get() is None
        assert manager.claimer("ns").claim("app", "you", 60).term == 2


@pytest.mark.parametrize("hang", [Hang, HangAfterDeciding, HangAfterCommit])
def test_a_silent_store_is_left_behind_and_the_batch_applied_once(
    clock: FakeClock, hang: type[Hang]
) -> None:
    store = FaultyStore()
    with hang() as silent, managing(store, clock, attempt_timeout=5) as manager:
        store.then(silent)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        assert silent.began.wait(PATIENCE)
        clock.advance(5)  # the attempt is over
        silent.release()  # what was left behind goes on after all
        advance_until(clock, lambda: future.is_settled)
        assert future.get().term == 1
        assert silent.ended.wait(PATIENCE)
        with pytest.raises(ClaimDenied):
            manager.claimer("ns").claim("app", "you", 60)


def test_a_call_ends_in_time_though_the_store_never_answers(
    store: FaultyStore, clock: FakeClock
) -> None:
    with Hang() as silent, managing(store, clock, call_timeout=30) as manager:
        store.always(silent)
        claimer = manager.claimer("ns")
        call = Calling(claimer.claim, "app", "me", 60)
        waiting = Calling(claimer.claim, "app", "me", 60, wait=10)
        assert silent.began.wait(PATIENCE)
        clock.wait_for_sleepers(3)
        advance_until(clock, lambda: not call.is_alive(), step=1)
        with pytest.raises(LeaseTimeout, match="'app' for holder 'me'"):
            call.outcome()
        advance_until(clock, lambda: not waiting.is_alive(), step=1)
        with pytest.raises(LeaseTimeout):
            waiting.outcome()
        store.always(None)
        silent.release()


def test_an_attempt_that_fails_just_after_it_was_left_behind_is_tried_again_once(
    store: FaultyStore, clock: FakeClock
) -> None:
    with Hang(passing) as silent, managing(store, clock, attempt_timeout=5) as manager:
        store.then(silent)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        assert silent.began.wait(PATIENCE)
        clock.advance(5)
        until(lambda: manager.report()["retries"] == 1, "its being left behind")
        silent.release()  # in the midst of the pause before the next
        assert silent.ended.wait(PATIENCE)
        pass_manager(manager)
        advance_until(clock, lambda: future.is_settled)
        assert future.get().term == 1
        assert (manager.report()["retries"], store.batches) == (1, [1, 1])


def test_reading_from_a_silent_store_ends_in_time(store: FaultyStore, clock: FakeClock) -> None:
    released = threading.Event()
    with managing(store, clock, call_timeout=30) as manager:
        reader = manager.reader("ns")
        began = threading.Event()

        def hang() -> None:
            began.set()
            released.wait(PATIENCE)

        store.on_read = hang
        call = Calling(reader.leases)
        assert began.wait(PATIENCE)
        advance_until(clock, lambda: not call.is_alive(), step=1)
        with pytest.raises(LeaseTimeout, match="read the leases of namespace 'ns'"):
            call.outcome()
        store.on_read = lambda: None
        assert reader.leases() == {}
        released.set()


def test_an_operation_that_cannot_be_done_fails_alone_and_the_order_of_the_others_stays(
    store: FaultyStore, clock: FakeClock
) -> None:
    with Hang() as gate, managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.then(gate)
        first = claimer.claim_future("first", "me", 60, wait=0)
        assert gate.began.wait(PATIENCE)
        cause = ValueError("a poisoned row")
        store.always(poison("bad", cause))
        asked = [("a", "me"), ("bad", "me"), ("b", "me"), ("a", "you")]
        rest = [claimer.claim_future(name, holder, 60, wait=0) for name, holder in asked]
        claimer_done = manager.ask(_check_of("first"), block=False)
        gate.release()
        assert first.get(timeout=PATIENCE).term == 1
        assert rest[0].get(timeout=PATIENCE).term == 1
        assert rest[2].get(timeout=PATIENCE).term == 1
        with pytest.raises(ClaimDenied):
            rest[3].get(timeout=PATIENCE)
        with pytest.raises(StoreError, match="'bad' for holder 'me': the store failed") as caught:
            rest[1].get(timeout=PATIENCE)
        assert caught.value.__cause__ is cause
        assert claimer_done.get(timeout=PATIENCE) is None


def test_an_unforeseen_error_after_the_commit_is_found_out(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        store.then(committed_then(ValueError("strange")))
        assert manager.claimer("ns").claim("app", "me", 60).term == 1
        assert store.batches == [1, 1]


def test_an_error_that_will_not_pass_fails_the_call_and_not_the_manager(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        store.always(raises(OSError("the disk is gone")))
        with pytest.raises(StoreError, match="the disk is gone"):
            manager.claimer("ns").claim("app", "me", 60)
        store.always(None)
        assert manager.claimer("ns").claim("app", "me", 60).term == 1


def test_a_start_that_was_forgotten_is_begun_anew(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        assert manager.claimer("ns").claim("app", "me", 60).term == 1
        store.then(start_lost)
        assert manager.claimer("ns").claim("other", "me", 60).term == 1


def test_a_start_lost_while_only_an_end_is_waited_for_concerns_nobody(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer, revoker = manager.claimer("ns"), manager.revoker("ns")
        claimer.claim("app", "me", 60)
        started = threading.Event()
        waiting = Calling(claimer.wait_until_expired, "app", started=started)
        assert started.wait(PATIENCE)
        store.then(start_lost)
        assert claimer.claim("other", "me", 60).term == 1
        revoker.revoke("app", "me")
        waiting.outcome()


def test_a_wait_that_is_left_while_it_is_being_registered_leaves_nothing(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager, HangAfterCommit() as slow:
        claimer, cancel = manager.claimer("ns"), threading.Event()
        claimer.claim("app", "me", 60)
        store.then(slow)
        waiting = Calling(claimer.wait_until_expired, "app", cancel=cancel)
        assert slow.began.wait(PATIENCE)
        cancel.set()
        with pytest.raises(WaitCancelled):
            waiting.outcome()
        pass_manager(manager)
        slow.release()
        claimer.claim("other", "me", 60)
        assert manager.report()["waits"] == 0


def test_a_start_lost_while_claims_are_blocked_lets_nobody_infer_anything(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "me", 60)
        future = claimer.claim_future("app", "you", 60)
        blocked(manager, 1)
        store.then(start_lost)
        with pytest.raises(LeaseTimeout, match="lost the record"):
            claimer.claim("other", "me", 60)
        with pytest.raises(LeaseTimeout):
            future.get(timeout=PATIENCE)
        assert claimer.claim("third", "me", 60).term == 1


@pytest.mark.parametrize("hang", [HangAfterDeciding, HangAfterCommit])
def test_a_claim_withdrawn_while_its_attribution_is_on_the_way_is_given_back(
    clock: FakeClock, hang: type[Hang]
) -> None:
    store = FaultyStore()
    with hang() as gate, managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.then(gate)
        mine = claimer.claim_future("app", "me", 60)
        assert gate.began.wait(PATIENCE)
        yours = claimer.claim_future("app", "you", 60)
        assert mine.cancel()
        gate.release()
        assert yours.get(timeout=PATIENCE).term == 2
        with pytest.raises(WaitCancelled):
            mine.get()


def test_what_another_claim_of_that_holder_was_answered_with_is_not_given_back(
    clock: FakeClock,
) -> None:
    store = FaultyStore()
    with Hang() as first, HangAfterDeciding() as gate, managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.then(first, gate)
        other = claimer.claim_future("other", "me", 60)
        assert first.began.wait(PATIENCE)
        mine = claimer.claim_future("app", "me", 60)
        again = claimer.claim_future("app", "me", 90)  # joins the same batch
        first.release()
        other.get(timeout=PATIENCE)
        assert gate.began.wait(PATIENCE)
        assert mine.cancel()
        gate.release()
        assert again.get(timeout=PATIENCE).term == 1
        manager.checker("ns").token("app", "me").check()


def test_whoever_has_left_is_dropped_before_the_next_attempt(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.then(passing)
        future = claimer.claim_future("app", "me", 60)
        assert store.wait_for_attempts(1)
        assert future.cancel()
        advance_until(clock, lambda: store.attempts >= 2)
        assert claimer.claim("app", "you", 60).term == 1


def test_a_store_that_cannot_be_opened_is_a_clear_error_and_leaves_nothing() -> None:
    class Away(FaultyStore):
        def open(self, clock: object) -> None:
            raise OSError("nobody there")

    with pytest.raises(StoreError, match="cannot open the store: nobody there"):
        Manager(ManagerConfig(Away()))
    assert not [t for t in threading.enumerate() if t.name.startswith("lease ")]


def test_store_failures_are_logged(store: FaultyStore, clock: FakeClock) -> None:
    log = Log()
    with managing(store, clock, logger=log.logger) as manager:
        store.then(passing)
        future = manager.claimer("ns").claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        assert log.wait_for("store_retried")[0].levelname == "WARNING"


def test_a_log_that_fails_does_no_harm(store: FaultyStore, clock: FakeClock) -> None:
    def away(record: logging.LogRecord) -> bool:
        raise ConnectionError("the log server is away")

    log = Log()
    log.addFilter(away)
    with managing(store, clock, logger=log.logger) as manager:
        store.then(raises(ValueError("disk full")))
        with pytest.raises(StoreError, match="disk full"):
            manager.claimer("ns").claim("app", "me", 60)
        assert manager.claimer("ns").claim("app", "me", 60).term == 1
        manager.kill()
        manager.wait(PATIENCE)


def test_a_future_of_a_failing_call_is_still_a_pykka_future(
    store: FaultyStore, clock: FakeClock
) -> None:
    with Hang() as silent, managing(store, clock) as manager:
        store.then(silent)
        future = manager.claimer("ns").claim_future("app", "me", 60)
        with pytest.raises(pykka.Timeout):
            future.get(timeout=0.01)
        silent.release()
        assert future.get(timeout=PATIENCE).term == 1


def _revoke(holder: str) -> object:
    from lease_actors import Key, Revoke

    return Revoke(Key("ns", "", "app"), holder)


def _check_of(lease: str) -> object:
    from lease_actors import Check, Key

    return Check(Key("ns", "", lease), "me")
