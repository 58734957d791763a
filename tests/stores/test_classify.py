"""What a server's failure means, by its code: never by its text, which may be in any language."""

from __future__ import annotations

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from lease_actors.errors import NotValid, StoreError
from lease_actors.stores import SqlStore, StorePassing
from lease_actors.stores.sql.dialects import LockedElsewhere, Taken


def meaning(url: str, error: BaseException) -> StorePassing | StoreError | None:
    return SqlStore(url)._dialect.failure(error)


def of_postgresql(code: str | None) -> StorePassing | StoreError | None:
    kind = psycopg.OperationalError if code is None else psycopg.errors.lookup(code)
    return meaning("postgresql://h/d", kind("Fehler"))


def of_mysql(code: int) -> StorePassing | StoreError | None:
    return meaning("mysql://h/d", pymysql.err.OperationalError(code, "Fehler"))


@pytest.mark.parametrize(
    "code",
    [
        None,  # libpq itself: the connection
        "08006",
        "40001",  # serialisation
        "40P01",  # deadlock
        "57014",  # it took too long
        "57P01",  # shut down
        "57P02",
        "57P03",  # starting up
        "25006",  # a standby
        "25P03",  # stood still
        "53300",  # too many connections
    ],
)
def test_it_may_pass_on_postgresql(code: str | None) -> None:
    assert type(of_postgresql(code)) is StorePassing


@pytest.mark.parametrize(
    ("code", "advice"),
    [("53100", "disk is full"), ("42P01", "a table is missing"), ("42501", "privilege")],
)
def test_it_will_not_pass_on_postgresql(code: str, advice: str) -> None:
    error = of_postgresql(code)
    assert isinstance(error, StoreError)
    assert advice in str(error)


@pytest.mark.parametrize("code", [0, 1040, 1047, 1053, 1213, 1290, 1836, 1927, 1969, 2006, 2013])
def test_it_may_pass_on_mysql(code: int) -> None:
    assert type(of_mysql(code)) is StorePassing


@pytest.mark.parametrize(
    ("code", "advice"),
    [(1114, "full"), (1146, "a table is missing"), (1142, "privilege"), (1045, "password")],
)
def test_it_will_not_pass_on_mysql(code: int, advice: str) -> None:
    error = of_mysql(code)
    assert isinstance(error, StoreError)
    assert advice in str(error)


def test_rows_that_others_have() -> None:
    assert isinstance(of_postgresql("55P03"), LockedElsewhere)
    assert isinstance(of_mysql(1205), LockedElsewhere)
    assert isinstance(of_postgresql("23505"), Taken)
    assert isinstance(of_mysql(1062), Taken)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql://h/d", psycopg.errors.UndefinedTable("Fehler")),
        ("postgresql://h/d", psycopg.errors.InvalidSchemaName("Fehler")),
        ("postgresql://h/d", Exception({"S": "FEHLER", "C": "42P01"})),  # pg8000
        *(("mysql://h/d", pymysql.err.OperationalError(code, "")) for code in (1046, 1049, 1146)),
    ],
)
def test_no_such_table(url: str, error: BaseException) -> None:
    assert SqlStore(url)._dialect.is_missing(error)


def test_what_is_not_the_databases_is_none_of_its_failures() -> None:
    assert meaning("postgresql://h/d", ZeroDivisionError()) is None


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://h/d", "postgresql+pg8000://h/d", "mysql+mysqlconnector://h/d"]
)
def test_other_drivers_are_refused(url: str) -> None:
    with pytest.raises(NotValid, match="use"):
        SqlStore(url)


@pytest.mark.parametrize("url", ["postgresql+asyncpg://h/d", "mysql+aiomysql://h/d"])
def test_asyncio_drivers_are_refused(url: str) -> None:
    with pytest.raises(NotValid):
        SqlStore(url)


@pytest.mark.parametrize("url", ["sqlite:///leases.db", "postgresql+psycopg://h/d"])
def test_an_engine_whose_threads_share_one_connection_is_refused(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.StaticPool)
    with pytest.raises(NotValid, match=r"StaticPool .* all threads .* QueuePool"):
        SqlStore(engine)


def test_without_a_driver_it_is_the_one_of_the_extra() -> None:
    for url, driver in (("postgresql://h/d", "psycopg"), ("mariadb://h/d", "pymysql")):
        assert SqlStore(url).engine.dialect.driver == driver
    assert SqlStore(sa.make_url("mysql://h/d")).engine.dialect.driver == "pymysql"
