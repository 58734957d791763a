"""A column that refuses a lower term."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lease_actors.fencing import fenced


class Base(orm.DeclarativeBase):
    pass


class Report(Base):
    __tablename__ = "report"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str]
    fence: orm.Mapped[int | None]


class Renamed(Base):
    __tablename__ = "renamed"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    fence: orm.Mapped[int] = orm.mapped_column("fence_term", key="highest", default=0)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(sa.insert(Report).values(id=1, text="", fence=None))
        yield connection
    engine.dispose()


def write(connection: sa.Connection, text: str, term: int) -> int:
    update = sa.update(Report).where(Report.id == 1).values(text=text)
    return connection.execute(fenced(update, Report.fence, term)).rowcount


def text(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(Report.text)).scalar()


def test_a_term_may_write_again_and_a_higher_one_after_it(connection: sa.Connection) -> None:
    assert [write(connection, f"by {term}", term) for term in (1, 1, 3)] == [1, 1, 1]
    assert text(connection) == "by 3"


def test_a_lower_term_writes_nothing(connection: sa.Connection) -> None:
    write(connection, "by 3", 3)
    assert write(connection, "by 2", 2) == 0
    assert text(connection) == "by 3"
    assert write(connection, "by 3 again", 3) == 1


def test_a_lower_term_deletes_nothing(connection: sa.Connection) -> None:
    write(connection, "by 3", 3)
    delete = sa.delete(Report).where(Report.id == 1)
    assert connection.execute(fenced(delete, Report.fence, 2)).rowcount == 0
    assert connection.execute(fenced(delete, Report.fence, 3)).rowcount == 1


def test_columns_of_tables_will_do_as_well(connection: sa.Connection) -> None:
    table = Report.__table__
    assert isinstance(table, sa.Table)
    for term, rows in ((5, 1), (4, 0)):
        update = sa.update(table).where(table.c.id == 1).values(text="plain")
        assert connection.execute(fenced(update, table.c.fence, term)).rowcount == rows
    assert connection.execute(sa.select(table.c.fence)).scalar() == 5


def test_a_column_need_not_be_named_as_its_attribute_is_nor_by_its_key(
    connection: sa.Connection,
) -> None:
    table = Renamed.__table__
    assert isinstance(table, sa.Table)
    with orm.Session(connection) as session:
        session.add(Renamed(id=1))
        session.flush()
        row = session.get_one(Renamed, 1)
        for updated in (Renamed, table):
            for column in (Renamed.fence, table.c.highest):
                term = row.fence + 1
                update = sa.update(updated).where(table.c.id == 1)
                assert session.execute(fenced(update, column, term)).rowcount == 1
                assert session.execute(fenced(update, column, term - 1)).rowcount == 0
                session.expire(row)
                assert row.fence == term
