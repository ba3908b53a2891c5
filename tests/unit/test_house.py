"""Rules of the house: how large things may be, and who may look into whom."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "callguard"

FILES = sorted(PACKAGE.rglob("*.py"))

LONGEST_CLASS, LONGEST_FUNCTION = 300, 50
"""Lines; of a function without its docstring. A command's function is apart: most of it is the
options that it has."""

PUBLIC = {"_replace", "_exit"}
"""Names that begin with an underscore though they are public: of named tuples, and of `os`."""


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _tree(path: Path) -> ast.Module:
    """A file's syntax tree.

    The garbage collector rests meanwhile: what it ends may be logged with a traceback, for which
    Python 3.11 parses, too, and that makes the parsing that was under way fail.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        gc.enable()


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_everything_is_short_enough_to_be_held_in_one_look(path: Path) -> None:
    """A hub would grow again, into which everything reaches."""
    is_command = path.parent.name == "cli"
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef):
            assert _lines(node) <= LONGEST_CLASS, f"{node.name} in {path}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_command:
            docstring = node.body[0] if ast.get_docstring(node) else None
            lines = _lines(node) - (0 if docstring is None else _lines(docstring))
            assert lines <= LONGEST_FUNCTION, f"{node.name} in {path}"


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_nobody_reaches_into_another_file(path: Path) -> None:
    """What is private to a file could not be changed without a look at all others."""
    tree = _tree(path)
    own = set(_own_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            on_itself = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            assert on_itself or node.attr in own, f"{ast.unparse(node)} in {path}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("callguard"):
            private = [alias.name for alias in node.names if _is_private(alias.name)]
            assert not private, f"{private} in {path}:{node.lineno}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def _own_names(tree: ast.Module) -> Iterator[str]:
    """What a file gives a name to itself."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.Name(ctx=ast.Store()):
                yield node.id


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
