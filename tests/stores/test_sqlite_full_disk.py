"""A file system that is really full: a clear error, nothing lost, and all well when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_actors import Manager, StoreError

NS = "ns"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of less than a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here to make a small file system with")
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_fails_what_needs_room_and_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 200_000)
    with Manager.open(f"sqlite:///{small_disk / 'leases.db'}") as manager:
        claimer, checker = manager.claimer(NS), manager.checker(NS)
        claimed: list[str] = []

        def claim_them_all() -> None:
            for number in range(10_000):
                name = f"lease-{number:0200}"
                claimer.claim(name, "app", 3600)
                claimed.append(name)

        with pytest.raises(StoreError, match=r"cannot claim lease .* full .*make room"):
            claim_them_all()
        assert claimed
        checker.token(claimed[0], "app").check()

        ballast.unlink()
        for name in claimed:
            checker.token(name, "app").check()
        assert manager.reader(NS).leases() == dict.fromkeys(claimed, "app")
        manager.revoker(NS).revoke(claimed[0], "app")
        assert claimer.claim(claimed[0], "other", 3600).term == 2
