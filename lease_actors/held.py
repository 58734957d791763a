"""What a claimer gets: a future of the lease."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.errors import ClaimDenied, NotValid, WaitCancelled, WaitTimeout
from lease_actors.lease import Lease, lease_of

__all__ = ["ClaimFuture"]

_NEVER = (WaitCancelled, WaitTimeout, ClaimDenied, NotValid)
"""What a claim can have ended with so that it certainly was not attributed."""


class ClaimFuture(Reply[Lease]):
    """A claim on its way: a Pykka future of the lease.

    A future that nobody keeps stays in the queue. As a context manager: leaving it cancels a
    claim that has not been attributed.
    """

    def __init__(self, *args: Any, clock: Clock | None = None, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._clock = clock

    def get(self, *, timeout: float | None = None) -> Lease:
        """The lease, as soon as it is attributed.

        Raises what refused it (``NotValid``, ``ClaimDenied``, ``WaitTimeout``, …), and
        ``pykka.Timeout`` after ``timeout`` seconds: then the claim is still on its way.
        """
        return super().get(timeout=timeout)

    def cancel(self) -> bool:
        """Withdraw the claim. True: it will never be attributed. False: it has been, or may be."""
        error = WaitCancelled(f"cannot {self.what}: it was cancelled", key=self.key)
        return self.withdraw(error) or isinstance(self.error, _NEVER)

    def __enter__(self) -> ClaimFuture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def present(self, value: Any) -> Lease:
        if self._clock is None:
            return super().present(value)  # a future derived from another (map, filter, …)
        return lease_of(value.key, value.tenure, value.pinned, value.until, self._clock)
