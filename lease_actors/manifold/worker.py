"""What a dependency engine runs: workers, and the manifolds that say how to get one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from lease_actors.clock import Signal
from lease_actors.durations import Duration, as_timeout
from lease_actors.errors import LeaseError, NotValid, WaitTimeout

__all__ = ["GetInput", "Manifold", "NotRunning", "Worker", "constant", "in_order"]

T = TypeVar("T")


class NotRunning(LeaseError, LookupError):
    """The worker is not up at this moment: its output is not to be had."""


@runtime_checkable
class Worker(Protocol):
    """Something that runs until it is killed or fails, on threads of its own."""

    def kill(self) -> None:
        """Begin to stop, and return at once. Asked again, or too late: nothing."""
        ...

    def wait(self, timeout: float | None = None) -> None:
        """Return when it has stopped; raise what stopped it, if that was not ``kill()``.

        With a ``timeout`` in seconds that is over first: a ``TimeoutError``.
        """
        ...


GetInput: TypeAlias = Callable[[str], Any]
"""The output of the input of that name; ``NotValid`` if it is not one of the inputs."""


@dataclass(frozen=True)
class Manifold:
    """How to get one worker: what it needs, how it is started, what it offers to others.

    ``start`` runs on a thread of its own, when every one of ``inputs`` is up, and may take its
    time. What ``get`` gives it are the outputs of that moment: if one of them goes away later,
    the worker is killed and started anew, so that it never meets two lives of one input.
    ``output`` is called once for each start, with the worker that ``start`` returned; without
    one, the worker itself is what others get.
    """

    inputs: tuple[str, ...]
    start: Callable[[GetInput], Worker]
    output: Callable[[Any], Any] | None = None


def constant(value: Any) -> Manifold:
    """A manifold whose output is ``value``, for as long as the engine runs.

    For what a host has at hand and others take as an input: a clock, a database's URL.
    """
    return Manifold((), lambda get: _Constant(value), lambda worker: worker.value)


class _Constant(Generic[T]):
    """A worker that does nothing but be there."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._killed = Signal()

    def kill(self) -> None:
        self._killed.set()

    def wait(self, timeout: Duration | None = None) -> None:
        limit = as_timeout(timeout, "wait for a constant's end")
        if not self._killed.wait(limit):
            raise WaitTimeout(f"cannot wait for a constant's end: not killed within {limit:g} s")


def in_order(manifolds: Mapping[str, Manifold]) -> tuple[str, ...]:
    """The names, each after all its inputs.

    ``NotValid`` names an input that nobody is, or a circle in which nobody can be first.
    """
    for name, manifold in manifolds.items():
        if not isinstance(manifold, Manifold) or isinstance(manifold.inputs, str):
            raise NotValid(f"worker {name!r}: not a Manifold with a tuple of input names")
        for wanted in manifold.inputs:
            if wanted not in manifolds:
                raise NotValid(f"worker {name!r} has the input {wanted!r}, which is no worker here")
    sorter = TopologicalSorter({name: manifolds[name].inputs for name in manifolds})
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        circle = " needs ".join(repr(name) for name in reversed(error.args[1]))
        raise NotValid(f"workers need one another in a circle: {circle}") from None
