"""Machines go by ``action``: each that a log line may have is in the documentation, and only those."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import lease_actors

SOURCE = Path(lease_actors.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def actions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Dict(
                keys=[ast.Constant(value="action"), *_], values=[ast.Constant(value=value), *_]
            ):
                yield value
            case ast.Call(func=ast.Name(id="fields"), args=[ast.Constant(value=value), *_]):
                yield value


def documented() -> set[str]:
    table = PAGE.read_text(encoding="utf-8").split("| level | `action` |")[1].split("\n\n")[0]
    return set(re.findall(r"`(\w+)`", table))


def test_the_table_of_actions_is_complete() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]
    assert {action for tree in trees for action in actions(tree)} == documented()


def test_each_action_is_in_snake_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", action) for action in documented())
