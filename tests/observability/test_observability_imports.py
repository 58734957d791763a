"""Each hook asks for its own library and for no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lease_actors

_LOADED = """
import importlib, sys, types

# The package without its face, which has its own reasons to import things.
package = sys.modules["lease_actors"] = types.ModuleType("lease_actors")
package.__path__ = [sys.argv[1]]
importlib.import_module(sys.argv[2])
print(*sorted({"prometheus_client", "opentelemetry", "sqlalchemy", "pykka"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("module", "loaded"),
    [
        ("observability", ""),
        ("observability.events", ""),
        ("observability.hooks", ""),
        ("observability.logging", ""),
        ("observability.prometheus", "prometheus_client"),
        ("observability.opentelemetry", "opentelemetry"),
    ],
)
def test_each_hook_imports_its_own_library_only(module: str, loaded: str) -> None:
    here = str(Path(lease_actors.__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", _LOADED, here, f"lease_actors.{module}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.stdout.strip(), ran.stderr) == (loaded, "")
