"""Calling the hooks so that none of them can do harm."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from lease_actors.observability.events import Event, Hook

__all__ = ["Handlers", "Hooks", "Warns"]

Handler: TypeAlias = Callable[[Any], None]


class Warns(Protocol):
    """What is needed of a logger: a ``logging.Logger`` is one, and so is an adapter."""

    def warning(self, msg: str, /, *args: object, exc_info: BaseException) -> object: ...


class Handlers:
    """A hook that a few kinds of events concern: one handler for each of them.

    ``wants`` says of some of these kinds how to find out whether one is wanted at this moment; None:
    never for its own sake. The others always are. What anybody wants, comes to all.
    """

    handlers: Mapping[type[Any], Handler]
    wants: Mapping[type[Any], Callable[[], bool] | None] = MappingProxyType({})

    def __call__(self, event: Event) -> None:
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)


class Hooks:
    """All hooks as one. What a hook raises is logged once, with its traceback, and goes no further.

    An event that nobody wants need not be made, which is most of what it costs:
    ``if hooks.wants(BatchBegan): hooks(BatchBegan(…))``. May be called from any thread, also at once.
    ``KeyboardInterrupt`` and its kind are not failures of a hook: they pass through.
    """

    __slots__ = ("_guarded", "_logger", "_of_kind", "_wanted")

    def __init__(self, hooks: Sequence[Hook], logger: Warns) -> None:
        self._logger = logger
        self._guarded = tuple(_Guarded(hook) for hook in hooks)
        self._of_kind: dict[type[Any], tuple[tuple[Handler, _Guarded], ...]] = {}
        """Whom each kind of event concerns, as it was found out when the first came."""
        self._wanted: dict[type[Any], Callable[[], bool]] = {}
        """How it is found out whether such an event is wanted now."""

    def wants(self, kind: type[Any]) -> bool:
        """Does an event of that kind concern anybody at this moment?"""
        wanted = self._wanted.get(kind)
        if wanted is None:
            wanted = self._wanted[kind] = self._wish(kind)
        try:
            return wanted()
        except Exception:  # that hook will fail again when it is told, and it is said then
            return True

    def __call__(self, event: Event) -> None:
        kind = type(event)
        concerned = self._of_kind.get(kind)
        if concerned is None:
            concerned = self._of_kind[kind] = self._concerned(kind)
        for handler, guarded in concerned:
            try:
                handler(event)
            except Exception as error:
                self._failed(guarded, event, error)

    def silence(self) -> None:
        """Call no hook from now on.

        For a forked child: a lock inside a hook's library may have been held by a thread that
        does not exist there, and whoever asked for it would hang.
        """
        self._guarded, self._of_kind, self._wanted = (), {}, {}

    def _wish(self, kind: type[Any]) -> Callable[[], bool]:
        wishes = []
        for _, guarded in self._concerned(kind):
            hook = guarded.hook
            wish = hook.wants.get(kind, _always) if isinstance(hook, Handlers) else _always
            if wish is not None:
                wishes.append(wish)
        if len(wishes) > 1:
            return lambda: any(wish() for wish in wishes)
        return wishes[0] if wishes else lambda: False

    def _concerned(self, kind: type[Any]) -> tuple[tuple[Handler, _Guarded], ...]:
        found = []
        for guarded in self._guarded:
            hook = guarded.hook
            handler = hook.handlers.get(kind) if isinstance(hook, Handlers) else hook
            if handler is not None:
                found.append((handler, guarded))
        return tuple(found)

    def _failed(self, guarded: _Guarded, event: Event, error: Exception) -> None:
        if not guarded.first():
            return
        # A logger that is broken too, or a hook without a repr: nobody is left to tell.
        with contextlib.suppress(Exception):
            self._logger.warning(
                "hook %r failed at %s; it is called on, and its further failures are not logged",
                guarded.hook,
                type(event).__name__,
                exc_info=error,
            )


def _always() -> bool:
    return True


class _Guarded:
    """One hook, and whether it has raised before."""

    __slots__ = ("_numbers", "hook")

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        # Drawing a number is atomic, so exactly one thread is the first, without a lock
        # that a fork could leave locked.
        self._numbers = itertools.count(1)

    def first(self) -> bool:
        """It has raised; True if it had not before."""
        return next(self._numbers) == 1
