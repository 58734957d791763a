"""A fork, and an interpreter that exits while a manager is forgotten: nobody hangs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from prometheus_client import CollectorRegistry
from lease_actors import Manager, ManagerStopped
url = sys.argv[1]
manager = Manager.open(url, prometheus_registerer=CollectorRegistry())
claimer = manager.claimer("ns")
claimer.claim("app", "parent", 3600)
future = claimer.claim_future("app", "waiter", 60)
threading.Thread(target=lambda: None).start()
if sys.argv[2] == "locked":
    manager._crew.gate._lock.acquire()
    manager._crew._lock.acquire()
child = os.fork()
if child == 0:
    def ends(call):
        try:
            call()
        except ManagerStopped as error:
            return error
        os._exit(3)
    error = ends(future.get)
    assert error.key == ("ns", "", "app"), error.key
    assert "cannot claim lease 'app' for holder 'waiter': the manager" in str(error), error
    ends(lambda: claimer.claim("other", "child", 60))
    ends(lambda: claimer.claim_future("other", "child", 60).get())
    ends(lambda: manager.reader("ns").leases())
    ends(lambda: manager.checker("ns").token("app", "parent").check())
    ends(manager.wait)
    ends(lambda: manager.claimer("new"))
    future.cancel()
    manager.kill()
    with Manager.open(url) as own:
        assert own.reader("ns").leases()["app"] == "parent"
        assert own.claimer("ns").claim("own", "child", 60).term == 1
    os._exit(0)
if sys.argv[2] == "locked":
    manager._crew.gate._lock.release()
    manager._crew._lock.release()
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
manager.checker("ns").token("app", "parent").check()
manager.revoker("ns").revoke("app", "parent")
assert future.get(timeout=20).term == 2
manager.kill()
manager.wait(20)
print("fine")
"""

_FORK_CONNECTED = """
import gc, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import sqlalchemy as sa
from lease_actors import Manager, ManagerStopped
url = sys.argv[1]
name = sa.make_url(url).database
if url.startswith("postgresql"):
    elsewhere, text = "postgres", f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"
    least = 2  # the manager's, and that of the one who listens
else:
    elsewhere, text = "mysql", f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
    least = 1
engine = sa.create_engine(sa.make_url(url).set(database=elsewhere), poolclass=sa.NullPool)
def connections():
    with engine.connect() as connection:
        return set(connection.exec_driver_sql(text).scalars())
manager = Manager.open(url)
claimer = manager.claimer("ns")
claimer.claim("app", "parent", 3600)
future = claimer.claim_future("app", "waiter", 60)
while len(connections()) < least:
    pass
before = connections()
for _ in range(2):
    child = os.fork()
    if child == 0:
        try:
            claimer.claim("other", "child", 60)
        except ManagerStopped:
            del manager, claimer, future
            gc.collect()
            sys.exit(0)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    manager.checker("ns").token("app", "parent").check()
    assert before <= connections(), (before, connections())
manager.revoker("ns").revoke("app", "parent")
assert future.get(timeout=20).term == 2
assert manager.report()["retries"] == 0
manager.kill()
manager.wait(20)
print("fine")
"""

_FORK_UNDER_WAY = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lease_actors import Manager
url = sys.argv[1]
manager = Manager.open(url)
claimer = manager.claimer("ns")
stop = threading.Event()
def hammer():
    while not stop.is_set():
        claimer.claim("app", "parent", 3600)
hammering = [threading.Thread(target=hammer) for _ in range(2)]
for thread in hammering:
    thread.start()
for number in range(8):
    child = os.fork()
    if child == 0:
        with Manager.open(url) as own:
            assert own.claimer("ns").claim(f"own-{number}", "child", 60).term == 1
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
stop.set()
for thread in hammering:
    thread.join()
assert len(manager.reader("ns").leases()) == 9
manager.kill()
manager.wait(20)
print("fine")
"""

_FORK_IN_MEMORY = """
import os, signal, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lease_actors import Manager, ManagerConfig, MemoryStore
store = MemoryStore()
manager = Manager(ManagerConfig(store))
claimer = manager.claimer("ns")
claimer.claim("app", "parent", 3600)
held, done = threading.Event(), threading.Event()
def be_in_the_midst_of_a_batch():
    with store._lock:
        held.set()
        done.wait()
thread = threading.Thread(target=be_in_the_midst_of_a_batch, daemon=True)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    with Manager(ManagerConfig(store)) as own:
        assert own.reader("ns").leases() == {}
        assert own.claimer("ns").claim("app", "child", 60).term == 1
    os._exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
done.set()
thread.join()
assert manager.reader("ns").leases() == {"app": "parent"}
manager.kill()
manager.wait(20)
print("fine")
"""

_EXIT = """
import sys, threading
from lease_actors import Manager, ManagerStopped
manager = Manager.open(sys.argv[1])
claimer = manager.claimer("ns")
claimer.claim("app", "me", 3600)
future = claimer.claim_future("app", "you", 60)
def wait():
    # Caught: an interpreter aborts if a daemon thread prints a traceback while it exits.
    try:
        claimer.claim("app", "they", 60, wait=None)
    except ManagerStopped:
        pass
threading.Thread(target=wait, daemon=True).start()
while manager.report()["blocked-claims"] < 2:
    pass
print("fine")
"""


def _run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_forked_child_hangs_on_nothing_and_touches_nothing(tmp_path: Path) -> None:
    assert _run(_FORK, f"sqlite:///{tmp_path / 'leases.db'}", "free") == "fine"


def test_a_forked_child_does_not_mind_locks_that_were_held(tmp_path: Path) -> None:
    assert _run(_FORK, f"sqlite:///{tmp_path / 'leases.db'}", "locked") == "fine"


def test_a_child_forked_in_the_midst_of_transactions_can_use_the_same_file(tmp_path: Path) -> None:
    assert _run(_FORK_UNDER_WAY, f"sqlite:///{tmp_path / 'leases.db'}") == "fine"


def test_a_forked_child_has_an_empty_store_in_memory_whatever_the_parent_was_doing() -> None:
    assert _run(_FORK_IN_MEMORY) == "fine"


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_the_connections_of_the_parent_outlive_a_child_that_exits(
    server: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{server}_url").render_as_string(hide_password=False)
    assert _run(_FORK_CONNECTED, url) == "fine"


def test_a_forgotten_manager_lets_the_interpreter_exit_and_leaves_the_queue(
    tmp_path: Path,
) -> None:
    path = tmp_path / "leases.db"
    assert _run(_EXIT, f"sqlite:///{path}") == "fine"
    connection = sqlite3.connect(path)
    try:
        [(holder, queued)] = connection.execute("SELECT holder, queued FROM lease_leases")
        assert (holder, queued) == ("me", 0)  # what was claimed stays, who waited has left
        assert connection.execute("SELECT count(*) FROM lease_queue").fetchone() == (0,)
    finally:
        connection.close()
