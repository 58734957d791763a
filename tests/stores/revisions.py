"""A second revision of the schema, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from lease_actors.stores.sql import schema
from lease_actors.stores.sql.migrations import run

_TEXT = '''"""Of a test."""
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"


def upgrade(op, prefix, schema):
'''


def revisions(monkeypatch: pytest.MonkeyPatch, directory: Path, body: str) -> None:
    """From now on there is a revision ``0002``, whose ``upgrade`` does that."""
    directory = directory / "versions"
    directory.mkdir()
    (directory / "v0002_test.py").write_text(_TEXT + body, encoding="utf-8")
    paths = run.versions()
    monkeypatch.setattr(run, "versions", lambda: [*paths, directory])
    monkeypatch.setattr(schema, "REVISIONS", ("0001", "0002"))
