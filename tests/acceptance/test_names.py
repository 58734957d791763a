"""Names and durations are validated before anything reaches the manager."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, WatchedStore, settle

from lease_actors import Claim, Key, Manager, MemoryStore, NotValid, Secretary
from lease_actors.secretaries import (
    ApplicationLeadership,
    DefaultSecretary,
    FixedSecretaries,
    Secretaries,
    SingularController,
)
from lease_actors.testing import FakeClock

GOOD = [
    "a",
    "x" * 255,
    "\U0001f600" * 255,
    "MixedCase",
    "with/slash:and.dots-and_more",
    "'quoted'",
    '"--;DROP',
    "%s{}\\",
    "\u00e9\u4e2d\u0627",
    "0",
]
BAD = [
    "",
    "x" * 256,
    "two words",
    " lead",
    "trail ",
    "tab\t",
    "line\n",
    "nul\0",
    "delete\x7f",
    "no-break\u00a0space",
    "wide\u3000space",
    "separator\u2028",
    "joiner\u200d",
    "override\u202e",
    "surrogate\ud800",
    "private\ue000",
]
NO_STR = [None, 5, b"bytes", ("tuple",), 1.5, True]


@pytest.fixture
def store() -> MemoryStore:
    """What is refused reaches no store: one kind is enough here."""
    return MemoryStore()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(NotValid) as error:
        call()
    assert isinstance(error.value, ValueError)
    return str(error.value)


# -- the default rules -------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_any_sensible_name_will_do(manager: Manager, name: str) -> None:
    lease = manager.claimer(name, name).claim(name, name, 60)
    assert (*lease.key, lease.holder) == (name,) * 4
    assert manager.reader(name, name).leases() == {name: name}
    manager.checker(name, name).token(name, name).check()
    manager.pinner(name, name).pin(name, name)
    assert manager.pinner(name, name).pinned() == {name: [name]}
    manager.pinner(name, name).unpin(name, name)
    manager.revoker(name, name).revoke(name, name)


@pytest.mark.parametrize("name", [*BAD, *NO_STR])
def test_other_names_are_refused_everywhere(manager: Manager, name: str) -> None:
    claimer, checker = manager.claimer(NS), manager.checker(NS)
    pinner, revoker = manager.pinner(NS), manager.revoker(NS)
    shown = repr(name)
    refused = {
        f"cannot claim lease {shown}": lambda: claimer.claim(name, "app-1", 60),
        f"cannot claim lease for holder {shown}": lambda: claimer.claim("db", name, 60),
        f"cannot check lease {shown}": checker.token(name, "app-1").check,
        f"cannot check lease for holder {shown}": checker.token("db", name).check,
        f"cannot revoke lease {shown}": lambda: revoker.revoke(name, "app-1"),
        f"cannot revoke lease for holder {shown}": lambda: revoker.revoke("db", name),
        f"cannot wait for lease {shown} expiry": lambda: claimer.wait_until_expired(name),
        f"cannot pin lease {shown}": lambda: pinner.pin(name, "machine"),
        f"cannot pin lease 'db' for entity {shown}": lambda: pinner.pin("db", name),
        f"cannot unpin lease {shown}": lambda: pinner.unpin(name, "machine"),
        f"cannot unpin lease 'db' for entity {shown}": lambda: pinner.unpin("db", name),
    }
    for message, call in refused.items():
        assert refusal(call).startswith(f"{message}: ")


@pytest.mark.parametrize("name", [*BAD, *NO_STR])
def test_other_namespaces_are_unknown_to_every_capability(manager: Manager, name: str) -> None:
    for capability in (
        manager.claimer,
        manager.checker,
        manager.pinner,
        manager.reader,
        manager.revoker,
    ):
        assert repr(name) in refusal(lambda capability=capability: capability(name))  # type: ignore[misc]
    key, minute = Key(name, "", "db"), timedelta(minutes=1)
    assert repr(name) in refusal(lambda: manager.ask(Claim(key, "app-1", minute)))


@pytest.mark.parametrize("name", [n for n in [*BAD, *NO_STR] if n != ""])
def test_model_may_be_empty_but_not_anything(manager: Manager, name: str) -> None:
    message = refusal(lambda: manager.claimer(NS, name).claim("db", "app-1", 60))
    assert message.startswith("cannot claim lease 'db': a model ")


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (0, "0s"),
        (0.0, "0s"),
        (-1, "-1s"),
        (-0.25, "-0.25s"),
        (timedelta(0), "0s"),
        (timedelta(microseconds=-1), "-0.000001s"),
        (timedelta(days=366, microseconds=1), "31622400.000001s"),
        (366 * 86_400 + 1, "31622401s"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (1e300, "1e+300"),
        (10**400, str(10**400)),
        (True, "True"),
        (False, "False"),
        ("60", "'60'"),
        (None, "None"),
        (b"60", "b'60'"),
    ],
)
def test_what_is_no_duration_is_refused(manager: Manager, duration: float, shown: str) -> None:
    claimer = manager.claimer(NS)
    for call in (
        lambda: claimer.claim("db", "app-1", duration),
        lambda: claimer.claim("db", "app-1", duration, wait=None),
        claimer.claim_future("db", "app-1", duration).get,
    ):
        assert refusal(call).startswith(f"cannot claim lease for {shown}: ")


def test_duration_that_rounds_to_nothing_is_none(manager: Manager) -> None:
    assert "over zero" in refusal(lambda: manager.claimer(NS).claim("db", "app-1", 1e-9))


def test_lease_is_looked_at_before_holder_and_holder_before_duration(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    assert refusal(lambda: claimer.claim("bad name", "bad name", -1)).startswith(
        "cannot claim lease 'bad name': "
    )
    assert refusal(lambda: claimer.claim("db", "bad name", -1)).startswith(
        "cannot claim lease for holder 'bad name': "
    )
    assert refusal(lambda: claimer.claim("db", "app-1", -1)).startswith(
        "cannot claim lease for -1s: "
    )
    assert refusal(lambda: manager.revoker(NS).revoke("bad name", "bad name")).startswith(
        "cannot revoke lease 'bad name': "
    )


def test_refusal_carries_the_key(manager: Manager) -> None:
    with pytest.raises(NotValid) as error:
        manager.claimer(NS, "model").claim("db", "bad name", 60)
    assert error.value.key == Key(NS, "model", "db")


def test_what_a_future_refuses_comes_out_of_it(manager: Manager) -> None:
    future = manager.claimer(NS).claim_future("bad name", "app-1", 60)
    assert refusal(lambda: future.get(timeout=PATIENCE)).startswith("cannot claim lease 'bad name'")
    assert future.cancel()


def test_nothing_that_is_refused_reaches_the_store(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    for name in BAD:
        refusal(lambda name=name: manager.claimer(NS).claim(name, "app-1", 60))  # type: ignore[misc]
    settle(manager)
    touched = watched.applied
    assert len(touched) == 3  # settle's own barriers


# -- the rules of a namespace ------------------------------------------------------------


class Picky(DefaultSecretary):
    """Takes one holder, and is told what a secretary is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def check_lease(self, key: Key) -> None:
        self.told.append(key)

    def check_holder(self, name: str) -> None:
        self.told.append(name)
        if name != "boss":
            raise NotValid("only 'boss' may")

    def check_duration(self, duration: timedelta) -> None:
        self.told.append(duration)


def test_secretary_decides_what_its_namespace_takes(open_manager: OpenManager) -> None:
    picky = Picky()
    finder = FixedSecretaries({"office": picky, "yard": DefaultSecretary()})
    manager = open_manager(secretary_finder=finder)
    assert manager.claimer("office", "m").claim("any name", "boss", 1.5).holder == "boss"
    assert picky.told == [Key("office", "m", "any name"), "boss", timedelta(seconds=1.5)]
    message = refusal(lambda: manager.claimer("office").claim("door", "app-1", 1))
    assert message == "cannot claim lease for holder 'app-1': only 'boss' may"
    assert manager.claimer("yard").claim("door", "app-1", 1).holder == "app-1"


def test_unknown_namespace_is_refused_with_those_that_are_known(
    open_manager: OpenManager,
) -> None:
    finder = FixedSecretaries({"yard": DefaultSecretary(), "office": DefaultSecretary()})
    manager = open_manager(secretary_finder=finder)
    message = refusal(lambda: manager.claimer("attic"))
    assert message == "unknown namespace 'attic' (there are 'office', 'yard')"


class Lenient:
    """Takes everything."""

    def check_lease(self, key: Key) -> None: ...

    def check_holder(self, name: str) -> None: ...

    def check_duration(self, duration: timedelta) -> None: ...


@pytest.mark.parametrize("name", [*NO_STR, ["list"], {"set"}])
def test_what_is_no_str_is_refused_whatever_the_rules(open_manager: OpenManager, name: str) -> None:
    manager = open_manager(secretary_finder=Secretaries(Lenient()))
    claimer, shown, kind = manager.claimer(NS), repr(name), type(name).__name__
    claimer.claim("taken", "app-1", 60)
    refused = {
        f"lease {shown}: a lease name is": lambda: claimer.claim(name, name, 60),
        "lease 'db': a model is": lambda: manager.claimer(NS, name).claim("db", name, 60),
        f"lease for holder {shown}: a holder's name is": lambda: claimer.claim(
            "taken", name, 60, wait=None
        ),
    }
    for message, call in refused.items():
        assert refusal(call) == f"cannot claim {message} a str, not {kind}"
    assert claimer.claim("free", "app-1", 60).term == 1


class Broken(DefaultSecretary):
    def check_holder(self, name: str) -> None:
        raise RuntimeError("the rule book is gone")


def test_secretary_that_fails_has_refused_and_goes_on(open_manager: OpenManager) -> None:
    finder = FixedSecretaries({"broken": Broken(), NS: DefaultSecretary()})
    manager = open_manager(secretary_finder=finder)
    for _ in range(2):
        with pytest.raises(NotValid, match=r"cannot claim lease for holder 'app-1': .*rule book"):
            manager.claimer("broken").claim("db", "app-1", 1)
    with pytest.raises(NotValid, match="cannot claim lease 'a b': "):
        manager.claimer("broken").claim("a b", "app-1", 1)
    assert manager.claimer(NS).claim("db", "app-1", 1).term == 1


class Slow(DefaultSecretary):
    def __init__(self) -> None:
        self.come = threading.Event()
        self.go = threading.Event()

    def check_lease(self, key: Key) -> None:
        self.come.set()
        assert self.go.wait(PATIENCE)


def test_slow_secretary_delays_its_own_namespace_alone(open_manager: OpenManager, run: Run) -> None:
    slow = Slow()
    finder = FixedSecretaries({"slow": slow, NS: DefaultSecretary()})
    manager = open_manager(secretary_finder=finder)
    call = run(lambda: manager.claimer("slow").claim("db", "app-1", 60))
    assert slow.come.wait(PATIENCE)

    assert manager.claimer(NS).claim("db", "app-1", 60).term == 1
    manager.revoker(NS).revoke("db", "app-1")
    assert not call.is_over
    slow.go.set()
    assert call.outcome().term == 1


def test_finder_of_any_namespace_may_have_other_rules(open_manager: OpenManager) -> None:
    manager = open_manager(secretary_finder=Secretaries(Picky()))
    assert manager.claimer("anything").claim("db", "boss", 1).holder == "boss"
    refusal(lambda: manager.claimer("anything").claim("db", "app-1", 1))


def check(call: Callable[[str], None], name: str) -> bool:
    try:
        call(name)
    except NotValid:
        return False
    return True


def leases_of(secretary: Secretary) -> Callable[[str], None]:
    return lambda name: secretary.check_lease(Key(NS, "", name))


@pytest.mark.parametrize("name", ["mysql", "a", "app2", "my-sql", "a-2b-c3", "postgresql-k8s"])
def test_application_may_be_led(name: str) -> None:
    secretary = ApplicationLeadership()
    assert check(leases_of(secretary), name)
    for number in ("0", "1", "10", "4294967296"):
        assert check(secretary.check_holder, f"{name}/{number}")


@pytest.mark.parametrize(
    "name", ["", "MySQL", "2app", "app-2", "app-", "-app", "app--", "app/0", "app_2", "\u00e4pp"]
)
def test_what_is_no_application_has_no_leader(name: str) -> None:
    secretary = ApplicationLeadership()
    assert not check(leases_of(secretary), name)
    assert not check(secretary.check_holder, f"{name}/0")


@pytest.mark.parametrize(
    "name", ["mysql", "mysql/", "mysql/01", "mysql/-1", "mysql/x", "mysql/0/1"]
)
def test_what_is_no_unit_leads_nothing(name: str) -> None:
    assert not check(ApplicationLeadership().check_holder, name)


@pytest.mark.parametrize("wrong", ["", "!", "-", "-1"])
def test_long_wrong_name_is_refused_at_once(wrong: str) -> None:
    name = ("a" + "-abc" * 64)[: 255 - len(wrong)] + wrong
    secretary = ApplicationLeadership()
    assert check(leases_of(secretary), name) is (wrong == "")
    assert not check(secretary.check_holder, name)


def is_application(name: str) -> bool:
    """Upstream's rule, without a regular expression."""
    words = name.split("-")
    known = all(c in "abcdefghijklmnopqrstuvwxyz0123456789" for word in words for c in word)
    return known and words[0][:1].isalpha() and all(any(map(str.isalpha, w)) for w in words)


def test_applications_are_exactly_upstreams() -> None:
    leases, holders = leases_of(ApplicationLeadership()), ApplicationLeadership().check_holder
    for letters in itertools.chain.from_iterable(
        itertools.product("az09-A/_", repeat=n) for n in range(6)
    ):
        name = "".join(letters)
        assert check(leases, name) is is_application(name), name
        assert check(holders, f"{name}/0") is is_application(name), name


UUID = "deadbeef-0bad-400d-8000-4b1d0d06f00d"
OTHER = "11111111-2222-3333-4444-555555555555"


def test_controller_is_singular_by_its_uuid() -> None:
    anything = leases_of(SingularController())
    assert check(anything, UUID)
    assert check(anything, OTHER)
    for name in ("", "db", UUID.upper(), UUID[:-1], UUID + "0", UUID.replace("-", "")):
        assert not check(anything, name)
    these = leases_of(SingularController(UUID))
    assert check(these, UUID)
    assert not check(these, OTHER)


@pytest.mark.parametrize(
    ("holder", "valid"),
    [
        ("machine-0", True),
        ("machine-12", True),
        ("machine-0-lxd-3", True),
        ("controller-0", True),
        ("machine-01", False),
        ("machine-", False),
        ("machine", False),
        ("unit-0", False),
        ("controller-x", False),
        ("controller-0-lxd-1", False),
    ],
)
def test_machine_or_controller_holds_the_singular_lease(holder: str, valid: bool) -> None:
    assert check(SingularController().check_holder, holder) is valid


@pytest.mark.parametrize("secretary", [ApplicationLeadership(), SingularController()])
def test_ready_made_rules_bound_the_duration_too(secretary: Secretary) -> None:
    secretary.check_duration(timedelta(microseconds=1))
    secretary.check_duration(timedelta(days=366))
    for wrong in (timedelta(0), timedelta(seconds=-1), timedelta(days=366, microseconds=1)):
        with pytest.raises(NotValid):
            secretary.check_duration(wrong)


def test_ready_made_rules_work_in_a_manager(open_manager: OpenManager, clock: FakeClock) -> None:
    finder = FixedSecretaries(
        {
            "application-leadership": ApplicationLeadership(),
            "singular-controller": SingularController(UUID),
        }
    )
    manager = open_manager(secretary_finder=finder)
    leadership = manager.claimer("application-leadership", "model")
    assert leadership.claim("mysql", "mysql/0", 60).holder == "mysql/0"
    singular = manager.claimer("singular-controller", "model")
    assert singular.claim(UUID, "machine-0", 60).holder == "machine-0"
    assert refusal(lambda: leadership.claim("mysql", "mysql", 60)) == (
        "cannot claim lease for holder 'mysql': not a unit name (such as 'mysql/0')"
    )
