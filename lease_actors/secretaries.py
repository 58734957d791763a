"""The rules of names and durations, pure; one secretary a namespace applies them.

Source: SEMANTICS, "Names"; the rules of ``application-leadership`` and
``singular-controller`` are upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, runtime_checkable

from lease_actors.core.model import Key
from lease_actors.core.operations import Claim, Operation, Pin, Unpin
from lease_actors.errors import NotValid

__all__ = [
    "ApplicationLeadership",
    "DefaultSecretary",
    "FixedSecretaries",
    "Secretaries",
    "Secretary",
    "SecretaryFinder",
    "SingularController",
]

MAX_NAME = 255
MAX_DURATION = timedelta(days=366)


@runtime_checkable
class Secretary(Protocol):
    """Says which leases, holders and durations a namespace takes, by raising ``NotValid``.

    What is no ``str``, or no ``timedelta``, has been refused before it is asked.
    """

    def check_lease(self, key: Key) -> None: ...

    def check_holder(self, name: str) -> None: ...

    def check_duration(self, duration: timedelta) -> None: ...


@runtime_checkable
class SecretaryFinder(Protocol):
    """Finds the secretary of a namespace; ``NotValid``: there is no such namespace."""

    def secretary_for(self, namespace: str) -> Secretary: ...


def check_name(name: object, what: str = "name") -> None:
    """1 to 255 printable characters without white space, or ``NotValid``."""
    name = _check_str(name, what)
    if not name:
        raise NotValid(f"a {what} must not be empty")
    if len(name) > MAX_NAME:
        raise NotValid(f"a {what} has at most {MAX_NAME} characters, not {len(name)}")
    if not name.isprintable() or " " in name:
        raise NotValid(f"a {what} has only printable characters and no white space")


class DefaultSecretary:
    """Any sensible name, and durations over zero of at most 366 days."""

    def check_lease(self, key: Key) -> None:
        check_name(key.lease, "lease name")
        if key.model_uuid != "":
            check_name(key.model_uuid, "model")

    def check_holder(self, name: str) -> None:
        check_name(name, "holder's name")

    def check_duration(self, duration: timedelta) -> None:
        if duration <= timedelta(0):
            raise NotValid("a duration must be over zero")
        if duration > MAX_DURATION:
            raise NotValid("a duration is at most 366 days")


class ApplicationLeadership(DefaultSecretary):
    """Upstream's rules: the lease is an application's name, the holder a unit's (``app/0``)."""

    # There is one way only to match a name: of two, `re` would try each combination over all the
    # words of a name that does not match, and no other thread of the process runs meanwhile.
    _APPLICATION = re.compile(r"[a-z][a-z0-9]*(?:-[0-9]*[a-z][a-z0-9]*)*")
    _UNIT = re.compile(rf"(?:{_APPLICATION.pattern})/(?:0|[1-9][0-9]*)")

    def check_lease(self, key: Key) -> None:
        super().check_lease(key)
        if not self._APPLICATION.fullmatch(key.lease):
            raise NotValid("not an application name (such as 'mysql')")

    def check_holder(self, name: str) -> None:
        super().check_holder(name)
        if not self._UNIT.fullmatch(name):
            raise NotValid("not a unit name (such as 'mysql/0')")


class SingularController(DefaultSecretary):
    """Upstream's rules: the lease is the controller's or a model's UUID, the holder a machine's
    or a controller's tag (``machine-0``, ``controller-0``).

    With ``uuids`` only these may be leased; without, any UUID.
    """

    _UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
    _NUMBER = r"(?:0|[1-9][0-9]*)"
    _TAG = re.compile(rf"controller-{_NUMBER}|machine-{_NUMBER}(?:-[a-z]+-{_NUMBER})*")

    def __init__(self, *uuids: str) -> None:
        self._uuids = frozenset(uuids)

    def check_lease(self, key: Key) -> None:
        super().check_lease(key)
        if self._uuids and key.lease not in self._uuids:
            raise NotValid("neither the controller's UUID nor a model's")
        if not self._UUID.fullmatch(key.lease):
            raise NotValid("not a UUID")

    def check_holder(self, name: str) -> None:
        super().check_holder(name)
        if not self._TAG.fullmatch(name):
            raise NotValid("neither a machine's tag nor a controller's (such as 'machine-0')")


class Secretaries:
    """The default finder: any namespace with a valid name, each under the same rules."""

    def __init__(self, secretary: Secretary | None = None) -> None:
        self._secretary = secretary or DefaultSecretary()

    def secretary_for(self, namespace: str) -> Secretary:
        try:
            check_name(namespace, "namespace")
        except NotValid as error:
            raise NotValid(f"cannot use namespace {namespace!r}: {error}") from None
        return self._secretary


class FixedSecretaries:
    """These namespaces and no others, each with its own secretary."""

    def __init__(self, secretaries: Mapping[str, Secretary]) -> None:
        self._secretaries = dict(secretaries)

    def secretary_for(self, namespace: str) -> Secretary:
        try:
            return self._secretaries[namespace]
        except (KeyError, TypeError):
            known = ", ".join(map(repr, sorted(self._secretaries)))
            raise NotValid(f"unknown namespace {namespace!r} (there are {known})") from None


# -- applying them to an operation -------------------------------------------------------


def validate(secretary: Secretary, operation: Operation) -> None:
    """Check lease, holder (or entity) and duration, in that order; ``NotValid`` says which.

    A secretary that raises anything else has refused, too: nothing reaches the manager that
    was not found valid.
    """
    key = operation.key
    step = "lease"
    try:
        _check_str(key.lease, "lease name")
        _check_str(key.model_uuid, "model")
        secretary.check_lease(key)
        if isinstance(operation, Pin | Unpin):
            step = "entity"
            check_name(operation.entity, "pinning entity's name")
        elif operation.kind not in ("wait", "read"):
            step = "holder"
            holder = _check_str(getattr(operation, "holder", None), "holder's name")
            secretary.check_holder(holder)
        if isinstance(operation, Claim):
            step = "duration"
            _check_type(operation.duration)
            secretary.check_duration(operation.duration)
    except NotValid as error:
        raise NotValid(f"{_refused(operation, step)}: {error}", key=key) from None
    except BaseException as error:  # in its actor's thread nobody else would be told
        what = f"{_refused(operation, step)}: its secretary failed: {error!r}"
        raise NotValid(what, key=key) from error


def _refused(operation: Operation, step: str) -> str:
    """What cannot be done, in the words of upstream."""
    kind, lease = operation.kind, operation.key.lease
    if step == "holder":
        return f"cannot {kind} lease for holder {getattr(operation, 'holder', None)!r}"
    if step == "duration":
        return f"cannot {kind} lease for {words(getattr(operation, 'duration', None))}"
    if step == "entity":
        return f"cannot {kind} lease {lease!r} for entity {getattr(operation, 'entity', None)!r}"
    return (
        f"cannot wait for lease {lease!r} expiry"
        if kind == "wait"
        else f"cannot {kind} lease {lease!r}"
    )


def words(duration: object) -> str:
    """A duration as people write it: ``90s``, ``0.25s``."""
    if isinstance(duration, timedelta):
        return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    return repr(duration)


def _check_str(name: object, what: str) -> str:
    # Whatever the rules of a namespace are: what is not even hashable would end the manager.
    if not isinstance(name, str):
        raise NotValid(f"a {what} is a str, not {type(name).__name__}")
    return name


def _check_type(duration: object) -> None:
    if not isinstance(duration, timedelta):
        raise NotValid("a duration is a timedelta or a finite number of seconds")
