"""The connections of one store: one for each call, and back when it returns.

Of an engine of the store's own the connection used last is kept at hand. To take it out of the
pool and give it back costs little in a loop, but several times that once a call in a program that
does other things meanwhile: a tenth of a claim.
"""

from __future__ import annotations

from types import TracebackType

import sqlalchemy as sa

from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.stillness import Stillness

__all__ = ["Connections", "Use"]


class Connections:
    """Hands out connections, and sees to it that each is in no transaction when it comes back."""

    def __init__(self, dialect: Dialect, engine: sa.Engine) -> None:
        self.dialect = dialect
        self.stillness = Stillness()
        self._engine = engine
        self._kept: list[sa.Connection] = []
        """One at most. Taken and put back in one step each: several threads may want it."""
        self._inherited: list[object] = []

    def one(self) -> Use:
        """One connection, for one call, as a context manager (see ``Use``)."""
        return Use(self)

    def close(self) -> None:
        """Close those that nobody uses, if the engine is the store's own."""
        if not self.dialect.owned:
            return
        pool = self.dialect.engine.pool
        self.dialect.engine.dispose()
        # Afterwards: what is put at hand until the pool is another, is found here; and whoever
        # does so later sees that it is another, and throws it away himself.
        self.let_go()
        pool.dispose()

    def let_go(self) -> None:
        """Keep none at hand: it is in the pool again."""
        self._let_go_but(0)

    def _let_go_but(self, most: int) -> None:
        while len(self._kept) > most and (connection := self._take()) is not None:
            connection.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's without closing them on a server.

        They are kept, unused, to the child's end: were they collected, the server would be
        told that they are closed, and it has no way of knowing by whom.
        """
        self._inherited += [*self._kept, self.dialect.engine.pool]
        self._kept = []
        self.dialect.engine.dispose(close=False)

    # -- for ``Use`` ---------------------------------------------------------------------

    def take(self) -> sa.Connection:
        """The one at hand, or one from the pool."""
        return self._take() or self._engine.connect()

    def give_back(self, connection: sa.Connection, pool: sa.Pool) -> None:
        """It is in no transaction, and nobody uses it any more."""
        if self.dialect.owned and not connection.invalidated:
            self._kept.append(connection)
            if pool is self.dialect.engine.pool:
                self._let_go_but(1)
                return
            self.let_go()
        else:
            connection.close()
        if pool is not self.dialect.engine.pool and pool not in self._inherited:
            pool.dispose()  # it was given up meanwhile, and nobody else will look there

    def undo(self, connection: sa.Connection, error: BaseException) -> None:
        """What has not been committed is rolled back; what is in no known state, thrown away."""
        if self.dialect.is_lost(error):
            connection.invalidate()
            if self.dialect.owned:  # those in the pool have gone with it
                self.close()
        if connection.invalidated:
            return
        try:
            if isinstance(error, Exception):
                self.dialect.rollback(connection)
                return
        except Exception:  # what is wrong has been said by ``error``
            pass
        connection.invalidate()

    def _take(self) -> sa.Connection | None:
        try:
            return self._kept.pop()
        except IndexError:
            return None


class Use:
    """One connection for one call.

    What has not been committed when the block ends by an error is rolled back; a connection whose
    state is unknown is thrown away. What the driver raises comes out as a failure that may pass, or
    as a ``StoreError``.
    """

    __slots__ = ("_connection", "_connections", "_pool")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> sa.Connection:
        connections = self._connections
        connections.dialect.check_place()
        connections.stillness.__enter__()
        try:
            self._pool = connections.dialect.engine.pool
            self._connection = connections.take()
        except BaseException as error:
            connections.stillness.__exit__(None, None, None)
            connections.dialect.translate(error)
            raise
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connections = self._connections
        try:
            if error is not None:
                connections.undo(self._connection, error)
            connections.give_back(self._connection, self._pool)
        except Exception as failed:
            connections.dialect.translate(failed)
            raise
        finally:
            connections.stillness.__exit__(None, None, None)
        if error is not None:
            connections.dialect.translate(error)
