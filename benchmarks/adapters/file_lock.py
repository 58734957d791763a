"""filelock: the kernel's lock on a file, and its lease, a file that a heartbeat keeps young."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout


class FileLocks:
    def __init__(self, folder: Path, duration: float | None) -> None:
        self._folder, self._duration = folder, duration

    def claim(self, name: str, holder: str, *, block: bool) -> BaseFileLock | None:
        lock = self._lock(self._folder / f"{name}.lock")
        try:
            lock.acquire(timeout=-1 if block else 0)
        except Timeout:
            return None
        return lock

    def _lock(self, path: Path) -> BaseFileLock:
        if self._duration is None:
            return FileLock(path)
        return SoftFileLease(path, lease_duration=self._duration)

    def close(self) -> None:
        pass


def connect(url: str, duration: float, *, lease: bool = False) -> FileLocks:
    folder = Path(urlsplit(url).path)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLocks(folder, duration if lease else None)
