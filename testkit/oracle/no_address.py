"""Rows whose e-mail fields are emptied where they say that there is no address (contact rules §1.1)."""

import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from typing import Any, TypeAlias

from streams.mapping import Mapping
from testkit.oracle.addresses import unreadable
from testkit.oracle.row_reading import Row, Tables

Versions: TypeAlias = Dict[str, Dict[str, Sequence[Row | None]]]

_AROUND = " \t\r\n<>()[]{}\"'`‘’“”«»‹›"


def emptied(tables: Tables, mapping: Mapping) -> Tables:
    """``tables`` with such fields as null."""
    changed = {name: {key: empty(row) for key, row in tables.get(name, {}).items()} for name, empty in _emptying(mapping)}
    return {**tables, **changed}


def emptied_versions(history: Versions, mapping: Mapping) -> Versions:
    """Former versions of rows with such fields as null."""
    changed = {
        name: {key: [row and empty(row) for row in versions] for key, versions in history.get(name, {}).items()}
        for name, empty in _emptying(mapping)
    }
    return {**history, **changed}


def _emptying(mapping: Mapping) -> Iterator[tuple[str, Callable[[Row], Row]]]:
    """Each table with e-mail fields, and what empties them; nothing at a site without such words."""
    words = {_plain(word) for word in mapping.no_address}

    def emptying(*columns: str) -> Callable[[Row], Row]:
        return lambda row: {**row, **{name: None for name in columns if _is_word(row[name], words)}}

    if words:
        yield mapping.contact.table, emptying(mapping.contact.email)
        yield mapping.customer.table, emptying(*mapping.customer.emails)
        yield mapping.order.detail.table, emptying(*mapping.order.detail.emails)


def _is_word(field: Any, words: set[str]) -> bool:
    return field is not None and unreadable(field) and _plain(str(field)) in words


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.lower()).strip(_AROUND).removesuffix(".")
