"""The implicit schema of an insight collection: the first value of a property fixes its type for good.

Facts from the insight specification, its failure reasons and what connectors ran into (an empty array, a number sent
as text or a date without a zone freezes a property wrongly until its collection is deleted). Choices: null says
nothing about a type; whole and fractional numbers are one type that is shown as FLOAT once a fraction came; text that
looks like a date fits a text property; the unpublished limits are those of data fields, and 255 for a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from testkit.sandbox.datafields import TEXT_LIMIT
from testkit.sandbox.instants import parse_instant

Fields = dict[str, dict[str, Any]]
"""Property by name: `{type, mode, fields}`, JSON values all; `type` is None for an array that was always empty."""

_KEY = re.compile(r"[-A-Za-z0-9_]+")
_KEY_LIMIT = 255
_NUMBER_LIMIT = 10**18
_DEPTH_LIMIT = 32


class MisfitError(ValueError):
    """A record that its collection cannot take: `reason` as import reports name it, and what is wrong where."""

    def __init__(self, reason: str, path: str, text: str) -> None:
        super().__init__(f"Property '{path}' {text}")
        self.reason = reason
        self.path = path


def absorb(fields: Fields, record: Mapping[str, Any]) -> None:
    """Check `record` against `fields` and add what is new. Raises MisfitError, leaving `fields` as they were."""
    undo: list[Callable[[], object]] = []
    try:
        _take_object(fields, record, "", undo)
    except MisfitError:
        for step in reversed(undo):
            step()
        raise


def describe(fields: Fields) -> list[dict[str, Any]]:
    """The schema as the service shows it: `[{name, mode, type, fields}]`."""
    return [
        {"name": name, "mode": known["mode"], "type": known["type"] or "STRING", "fields": describe(known["fields"])}
        for name, known in fields.items()
    ]


def _take_object(fields: Fields, value: Mapping[str, Any], path: str, undo: list[Callable[[], object]]) -> None:
    if path.count(".") >= _DEPTH_LIMIT:
        raise MisfitError("InvalidJson", path, f"is nested over {_DEPTH_LIMIT} deep")
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        _check_name(name, where, fields)
        if item is not None:
            _take(fields, name, item, where, undo)
    folded = {name.replace("-", "_") for name in value}
    if len(folded) < len(value):
        raise MisfitError("JsonContainsDashUnderscoreClash", path or "(record)", "has names that differ in - and _ only")


def _take(fields: Fields, name: str, value: Any, path: str, undo: list[Callable[[], object]]) -> None:
    mode = "REPEATED" if isinstance(value, list) else "NULLABLE"
    known = fields.get(name)
    if known is None:
        known = fields[name] = {"type": None, "mode": mode, "fields": {}}
        undo.append(lambda: fields.pop(name))
    elif known["mode"] != mode:
        raise _mismatch(path, "is an array in this collection" if mode == "NULLABLE" else "is not an array in this collection")
    for item in value if isinstance(value, list) else (value,):
        if isinstance(item, list):
            raise MisfitError("JsonContainsNestedArray", path, "holds an array inside an array")
        if item is not None:
            _fix(known, item, path, undo)
            if isinstance(item, dict):
                _take_object(known["fields"], item, path, undo)


def _fix(known: dict[str, Any], value: Any, path: str, undo: list[Callable[[], object]]) -> None:
    """Fix the type of a property, or hold the value to it."""
    wanted, kind = known["type"], _kind(value, path)
    if wanted == kind or (wanted, kind) in {("FLOAT", "INTEGER"), ("STRING", "TIMESTAMP")}:
        return
    if wanted is not None and (wanted, kind) != ("INTEGER", "FLOAT"):
        raise _mismatch(path, f"is of type {wanted} in this collection")
    known["type"] = kind
    undo.append(lambda: known.update(type=wanted))


def _kind(value: Any, path: str) -> str:
    if isinstance(value, dict):
        return "RECORD"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, str):
        if len(value) > TEXT_LIMIT:
            raise MisfitError("JsonValueTooLong", path, f"is longer than {TEXT_LIMIT} characters")
        return "STRING" if parse_instant(value) is None else "TIMESTAMP"
    if not -_NUMBER_LIMIT < value < _NUMBER_LIMIT:
        raise MisfitError("JsonNumberValueTooLarge", path, "has more than 18 digits before the point")
    return "FLOAT" if isinstance(value, float | Decimal) else "INTEGER"


def _check_name(name: str, path: str, fields: Fields) -> None:
    if len(name) > _KEY_LIMIT:
        raise MisfitError("JsonKeyTooLong", path, f"has a name of more than {_KEY_LIMIT} characters")
    if _KEY.fullmatch(name) is None:
        raise MisfitError("JsonKeyInvalidCharacters", path, "may have letters, digits, - and _ in its name only")
    if name not in fields and any(known.replace("-", "_") == name.replace("-", "_") for known in fields):
        raise MisfitError("JsonContainsDashUnderscoreClash", path, "differs from another name in - and _ only")


def _mismatch(path: str, text: str) -> MisfitError:
    return MisfitError("JsonValueIncompatibleWithSchema", path, text)
