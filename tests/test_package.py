"""What a user gets who installs the package."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from importlib.resources import files

import pytest

import lease_actors
from lease_actors import errors

PUBLIC = """
    Manager ManagerConfig MAX_SLEEP
    Claimer Checker Pinner Reader Revoker ClaimFuture Token
    Secretary SecretaryFinder Clock SystemClock Store MemoryStore SqlStore
    Key Lease Waiter
    Claim Revoke Check Pin Unpin
    LeaseError NotValid ClaimDenied NotHeld LeasePinned WaitTimeout WaitCancelled LeaseLost
    LeaseTimeout StoreError ManagerStopped
    __version__
""".split()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_importable_from_the_package(name: str) -> None:
    assert hasattr(lease_actors, name)
    assert name in lease_actors.__all__


def test_all_names_exist_and_are_sorted() -> None:
    assert [n for n in lease_actors.__all__ if not hasattr(lease_actors, n)] == []
    assert len(set(lease_actors.__all__)) == len(lease_actors.__all__)


def test_every_error_is_public_in_both_places() -> None:
    for name in errors.__all__:
        assert getattr(lease_actors, name) is getattr(errors, name)


def test_version_is_the_distributions_own() -> None:
    assert lease_actors.__version__ == distribution("lease-actors").version
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", lease_actors.__version__)


def test_py_typed_is_installed() -> None:
    assert files("lease_actors").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("console_scripts", "lease-actors", "lease_actors.__main__:main"),
        ("pytest11", "lease_actors", "lease_actors.testing.plugin"),
    ],
)
def test_entry_point_loads(group: str, name: str, value: str) -> None:
    (found,) = [e for e in entry_points(group=group, name=name) if e.value == value]
    assert found.load() is not None


def test_import_starts_no_thread_and_warns_of_nothing() -> None:
    code = "import threading, lease_actors; assert threading.active_count() == 1"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)


def test_import_leaves_to_others_what_takes_long_and_few_need() -> None:
    code = (
        "import sys, lease_actors; print(*({'sqlalchemy.orm', 'alembic', 'rich'} & {*sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True
    )
    assert run.stdout.split() == []
