"""The plan of the house (``docs/design.md``), held by reading the source, not by running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import lease_actors

ROOT = Path(lease_actors.__file__).parent

FACADE = "lease_actors"
"""The package itself: names handed on, nothing else."""

HOUSE = (
    "__main__",
    "cli",
    "web",
    "testing",
    "roles",
    "manifold",
    FACADE,
    "manager",
    "crew",
    "dump",
    "fencing",
    "capabilities",
    "overview",
    "held",
    "lease",
    "past",
    "config",
    "actors",
    "secretaries",
    "stores",
    "observability",
    "core",
    "durations",
    "clock",
    "errors",
    "_version",
)
"""The rooms, from the roof down."""

MOST_LINES = 350
"""Where a module must be taken apart; aim at 300."""

LONGER = {"core/decide.py": 420}
"""THE rules stay in one file, with their theory of operation in front."""


class Import(NamedTuple):
    """One import of something of ours."""

    by: str
    target: str
    """A module, dotted, without the package's name; ``FACADE`` for the package itself."""
    for_types_only: bool


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) or FACADE


def room_of(module: str) -> str:
    return module.split(".")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules() -> frozenset[str]:
    return frozenset(name_of(path) for path in sources())


def imports_of(path: Path) -> Iterator[Import]:
    tree = tree_of(path)
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        for target in _targets(node):
            yield Import(name_of(path), target, node in typing_only)


def _targets(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            yield from _ours(f"{node.module}.{alias.name}")
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from _ours(alias.name)


def _ours(dotted: str) -> Iterator[str]:
    """The module that is meant: ``dotted`` itself, or the one that has this name."""
    package, _, rest = dotted.partition(".")
    if package == FACADE:
        parent = rest.rpartition(".")[0]
        yield rest if rest in modules() else parent if parent in modules() else FACADE


def all_imports(*, for_types: bool = True) -> list[Import]:
    return [i for path in sources() for i in imports_of(path) if for_types or not i.for_types_only]


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_room_is_in_the_plan() -> None:
    assert sorted({room_of(m) for m in modules()} - set(HOUSE)) == []


def test_imports_point_downwards() -> None:
    upwards = [
        f"{i.by} imports {i.target}"
        for i in all_imports(for_types=False)
        if HOUSE.index(room_of(i.target)) < HOUSE.index(room_of(i.by)) and i.by != FACADE
    ]
    assert upwards == []


def test_the_core_rests_on_nothing_but_the_errors() -> None:
    beyond = [
        f"{i.by} imports {i.target}"
        for i in all_imports()
        if room_of(i.by) == "core" and room_of(i.target) not in ("core", "errors")
    ]
    assert beyond == []


def test_errors_and_clock_rest_on_nothing() -> None:
    assert [
        f"{i.by} imports {i.target}"
        for i in all_imports(for_types=False)
        if i.by in ("errors", "clock", "_version")
    ] == []


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for i in all_imports(for_types=False):
        if i.target != i.by:
            graph.setdefault(i.by, set()).add(i.target)
    assert _circle(graph) is None


def _circle(graph: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for target in sorted(graph.get(module, ())):
            if found := visit(target, [*way, module]):
                return found
        done.add(module)
        return None

    return next((found for m in sorted(graph) if (found := visit(m, []))), None)


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_only_the_clock_asks_for_the_time(path: Path) -> None:
    if ids(path) == "clock.py":
        return
    asks = [f"line {n.lineno}" for n in ast.walk(tree_of(path)) if _asks_for_the_time(n)]
    assert asks == []


def _asks_for_the_time(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name == "time" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module == "time"
    if isinstance(node, ast.Attribute):
        return node.attr in ("now", "utcnow", "today") and "date" in ast.unparse(node.value)
    return False


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_modules_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(ids(path), MOST_LINES)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=ids)
def test_init_files_only_hand_names_on(path: Path) -> None:
    other = [n for n in tree_of(path).body if not _hands_on(n)]
    assert [f"line {n.lineno}: {ast.unparse(n)}" for n in other] == []


def _hands_on(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)  # the docstring
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and all(map(_hands_on, node.body))
    if isinstance(node, ast.FunctionDef):
        return node.name == "__getattr__"  # hands on when asked: for a name with a dependency
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
