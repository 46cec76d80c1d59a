"""The codes that the product can put on a dead letter, read from its source, and those that the handbook explains."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import streams

SOURCE: Final = Path(streams.__file__).parent
HANDBOOK: Final = SOURCE.parent / "docs" / "dead-letters.md"

_ERRORS: Final = ("RecordError", "TooLargeError")
"""The classes that carry a code."""

_PARTS: Final = ("key", "value")
"""What ``part`` may be in the codes of :func:`streams.capture.envelope._load`."""


@cache
def raised() -> dict[str, set[str]]:
    """Every code in the source, with the modules (relative to the package) that raise it.

    Raises:
        ValueError: a code is written in a way that this reader does not understand, and so nobody checks.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ERRORS:
                for code in _codes(node.args[0], tree):
                    found.setdefault(code, set()).add(path.relative_to(SOURCE).as_posix())
    return found


def explained() -> list[str]:
    """The codes in the first column of the handbook's tables, in order."""
    rows = re.findall(r"^\|([^|]*`[^|]*)\|", HANDBOOK.read_text("utf-8"), re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([a-z0-9_]+)`", row)]


def _codes(node: ast.expr, tree: ast.Module) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _codes(node.body, tree)
        yield from _codes(node.orelse, tree)
    elif isinstance(node, ast.JoinedStr):
        yield from _family(node, tree)
    elif isinstance(node, ast.Name):
        yield from _assigned(node.id, tree)
    elif isinstance(node, ast.Attribute) and node.attr == "code":
        return
    else:
        raise ValueError(f"a code that cannot be read: {ast.unparse(node)}")


def _family(node: ast.JoinedStr, tree: ast.Module) -> Iterator[str]:
    """The codes of an f-string: its fields are ``part``, or a call of a function of the module that returns text."""
    codes = [""]
    for piece in node.values:
        if isinstance(piece, ast.Constant):
            ends: list[str] = [str(piece.value)]
        elif isinstance(piece, ast.FormattedValue) and isinstance(piece.value, ast.Name) and piece.value.id == "part":
            ends = list(_PARTS)
        elif isinstance(piece, ast.FormattedValue) and isinstance(piece.value, ast.Call):
            ends = list(_returned(ast.unparse(piece.value.func), tree))
        else:
            raise ValueError(f"a code that cannot be read: {ast.unparse(node)}")
        codes = [begin + end for begin in codes for end in ends]
    yield from codes


def _returned(function: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for leaf in ast.walk(node):
                if isinstance(leaf, ast.Return) and leaf.value is not None:
                    yield from _codes(leaf.value, tree)


def _assigned(name: str, tree: ast.Module) -> Iterator[str]:
    values = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
    ]
    if not values:
        raise ValueError(f"nothing is assigned to the code {name}")
    for value in values:
        yield from _codes(value, tree)
