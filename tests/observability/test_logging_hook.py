"""The manager's log: the lines people read, and the fields machines read."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from lease_actors.core.model import Key
from lease_actors.errors import ClaimDenied, NotHeld, StoreError
from lease_actors.observability.events import (
    Call,
    CallBegan,
    CallEnded,
    Event,
    Gauges,
    HoldEndangered,
    HoldLost,
    StoreRetried,
    TenureBegan,
    TenureEnded,
    Ticked,
)
from lease_actors.observability.logging import FIELDS, LoggingHook, ManagerLog, fields

UUID = "0a1b2c3d-0000-0000-0000-000000000000"
KEY = Key("ns", "model", "a-lease")
LOGGER = logging.getLogger("tests.manager_log")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> ManagerLog:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    return ManagerLog(LOGGER, UUID)


@pytest.fixture
def hook(log: ManagerLog) -> LoggingHook:
    return LoggingHook(log)


def ended(error: BaseException | None) -> CallEnded:
    return CallEnded(Call("claim", KEY, "a-holder", began=0), error, ended=1)


def store_error() -> StoreError:
    error = StoreError("the store failed", key=KEY)
    error.__cause__ = OSError("disk full")
    return error


DENIED = ended(ClaimDenied("cannot claim lease 'a-lease' for 'a-holder': held by 'b'", key=KEY))
FAILED = ended(store_error())
RETRIED = StoreRetried(7, 2, 0.05, RuntimeError("busy"))
BEGAN = TenureBegan(KEY, "a-holder", 5, waited=1.25)
ENDED = TenureEnded(KEY, "a-holder", 5, "expired")
LATE = Ticked(late=1.5)


def values(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS}


def test_a_line_begins_with_six_characters_of_the_entity_uuid_in_brackets(
    log: ManagerLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.info("%s leases", 3)

    assert caplog.messages == ["[0a1b2c] 3 leases"]


def test_every_record_has_every_field(log: ManagerLog, caplog: pytest.LogCaptureFixture) -> None:
    log.info("nothing in particular")

    (record,) = caplog.records
    assert values(record) == {**dict.fromkeys(FIELDS), "entity_uuid": UUID}


def test_the_fields_of_a_line_are_added_to_those_of_the_manager(
    log: ManagerLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.info("gone", extra=fields("tested", KEY, holder="h", term=4) | {"more": 1})

    (record,) = caplog.records
    assert values(record) == {
        "action": "tested",
        "entity_uuid": UUID,
        "lease_namespace": "ns",
        "lease_model": "model",
        "lease_name": "a-lease",
        "lease_holder": "h",
        "lease_term": 4,
    }
    assert vars(record)["more"] == 1


@pytest.mark.parametrize("entity_uuid", ["", "abc", "50%s%d%%"])
def test_no_entity_uuid_can_break_a_line(
    entity_uuid: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = ManagerLog(LOGGER, entity_uuid)
    log.warning("with %s", "arguments")
    log.warning("without")

    prefix = f"[{entity_uuid[:6].replace('%', '_')}]"
    assert caplog.messages == [f"{prefix} with arguments", f"{prefix} without"]


def test_a_line_names_the_place_that_wrote_it(
    log: ManagerLog, caplog: pytest.LogCaptureFixture
) -> None:
    for say in (log.debug, log.info, log.warning, log.error, log.exception, log.critical):
        say("here")
    log.log(logging.INFO, "here")

    assert len(caplog.records) == 7
    here = (__file__, "test_a_line_names_the_place_that_wrote_it")
    assert {(record.pathname, record.funcName) for record in caplog.records} == {here}


def test_a_line_may_name_the_caller_of_the_place_that_wrote_it(
    log: ManagerLog, caplog: pytest.LogCaptureFixture
) -> None:
    def helper() -> None:
        log.info("there", stacklevel=2)

    helper()

    place = "test_a_line_may_name_the_caller_of_the_place_that_wrote_it"
    assert caplog.records[0].funcName == place


class Raising(logging.Handler):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


def raising_log(error: BaseException) -> ManagerLog:
    logger = logging.Logger("raising")  # noqa: LOG001
    logger.addHandler(Raising(error))
    return ManagerLog(logger, UUID)


def test_what_a_handler_raises_goes_no_further() -> None:
    log = raising_log(ConnectionError("the log server is away"))
    for say in (log.debug, log.info, log.warning, log.error, log.exception, log.critical):
        say("nobody hears this")
    log.log(logging.INFO, "nor this")


def test_a_ctrl_c_in_a_handler_is_no_failure_of_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        raising_log(KeyboardInterrupt()).info("interrupted")


@pytest.mark.parametrize(
    ("event", "level", "action"),
    [
        (DENIED, logging.DEBUG, "claim_denied"),
        (BEGAN, logging.DEBUG, "tenure_began"),
        (replace(BEGAN, waited=None), logging.DEBUG, "tenure_began"),
        (ENDED, logging.DEBUG, "tenure_ended"),
        (RETRIED, logging.WARNING, "store_retried"),
        (LATE, logging.WARNING, "tick_late"),
        (FAILED, logging.ERROR, "call_failed"),
        (HoldEndangered(KEY, "h", 4), logging.WARNING, "hold_endangered"),
        (HoldLost(KEY, "h", 4, "taken"), logging.WARNING, "hold_lost"),
        (HoldLost(KEY, "h", 4, "stopped"), logging.INFO, "hold_lost"),
    ],
)
def test_what_happened_is_one_line_of_its_level(
    hook: LoggingHook,
    caplog: pytest.LogCaptureFixture,
    event: Event,
    level: int,
    action: str,
) -> None:
    hook(event)

    (record,) = caplog.records
    assert (record.levelno, vars(record)["action"]) == (level, action)
    assert record.getMessage().startswith("[0a1b2c] ")


@pytest.mark.parametrize("event", [DENIED, FAILED, BEGAN, ENDED])
def test_what_happened_to_a_lease_names_lease_and_holder(
    hook: LoggingHook, caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    hook(event)

    (record,) = caplog.records
    names = ("lease_namespace", "lease_model", "lease_name", "lease_holder")
    assert [values(record)[name] for name in names] == ["ns", "model", "a-lease", "a-holder"]
    assert "'a-lease'" in record.getMessage()


@pytest.mark.parametrize("event", [BEGAN, ENDED])
def test_a_tenure_is_logged_with_its_term(
    hook: LoggingHook, caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    hook(event)

    assert vars(caplog.records[0])["lease_term"] == 5


def test_the_line_of_a_store_failure_says_what_the_store_raised(
    hook: LoggingHook, caplog: pytest.LogCaptureFixture
) -> None:
    hook(FAILED)

    assert "OSError('disk full')" in caplog.messages[0]


@pytest.mark.parametrize(
    "event",
    [
        CallBegan(Call("claim", KEY, "a-holder", began=0)),
        ended(None),
        ended(NotHeld("x")),
        Ticked(late=1.0),
        Gauges(1, 2, 3),
    ],
)
def test_everyday_events_write_nothing(
    hook: LoggingHook, caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    hook(event)

    assert caplog.records == []


class CostlyDenial(ClaimDenied):
    def __str__(self) -> str:
        raise AssertionError("a line that is not written was made all the same")


@pytest.mark.parametrize("event", [ended(CostlyDenial("x")), BEGAN, ENDED])
def test_below_its_level_nothing_is_even_formatted(
    caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)

    LoggingHook(ManagerLog(LOGGER, UUID))(event)

    assert caplog.records == []


def test_a_level_changed_later_counts_at_once(
    hook: LoggingHook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    hook(DENIED)
    caplog.set_level(logging.DEBUG, LOGGER.name)
    hook(DENIED)

    assert len(caplog.records) == 1
