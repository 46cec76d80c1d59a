"""What the database holds: the rows by which everything downstream is judged."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streams.core.errors import OwddError
from streams.mapping import Mapping
from testkit.oracle.addresses import addresses
from testkit.simulate.database import Database
from testkit.simulate.tables import Row


class TruthError(OwddError):
    """A truth file cannot be read."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Current rows by table and key (as text), encoded as in events, under the site's names.

    ``opted_in_ever`` are the addresses that some version of a contact row opted in: only these may be subscribed.
    ``erased`` are those that some version asked to be forgotten. ``history``: former versions of rows that were changed or
    deleted while changes were captured, oldest first; None stands for a deletion.
    """

    seed: int
    tables: dict[str, dict[str, Row]]
    opted_in_ever: list[str]
    erased: list[str] = field(default_factory=list)
    history: dict[str, dict[str, list[Row | None]]] = field(default_factory=dict)


def truth_of(db: Database, mapping: Mapping, seed: int) -> Truth:
    """A copy of everything in ``db``."""
    tables = {
        db.names[table].table: {str(key): orjson.loads(row) for key, row in db.encoded(table).items()} for table in db.tables
    }
    return Truth(seed, tables, opted_in_ever(db, mapping), erased(db, mapping), history(db))


def history(db: Database) -> dict[str, dict[str, list[Row | None]]]:
    """Former versions of rows, by table and key."""
    return {
        db.names[table].table: {
            str(key): [None if row is None else orjson.loads(row) for row in versions] for key, versions in rows.items()
        }
        for table, rows in db.former.items()
        if rows
    }


def opted_in_ever(db: Database, mapping: Mapping) -> list[str]:
    """Every address that a contact row ever opted in; none without a mapped consent."""
    if mapping.consent.mode != "column":
        return []
    return _addresses_said(db.opt_in_values, mapping.consent.opted_in)


def erased(db: Database, mapping: Mapping) -> list[str]:
    """Every address for which a contact row ever asked to be forgotten; none where the site maps no such column."""
    return [] if mapping.erasure is None else _addresses_said(db.erased_values, mapping.erasure.erased)


def _addresses_said(said: set[tuple[str, str]], values: frozenset[str]) -> list[str]:
    fields = {email for value, email in said if value.strip().casefold() in values}
    return sorted({address for email in fields for address in addresses(email)})


def write_truth(db: Database, mapping: Mapping, seed: int, path: Path) -> None:
    """Write the truth file row by row: a large shop is never held twice in memory.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        file.write(b'{"seed":%d,"tables":{' % seed)
        for index, table in enumerate(db.tables):
            file.write(b"%b\n%b:{" % (b"," if index else b"", orjson.dumps(db.names[table].table)))
            for place, (key, row) in enumerate(db.encoded(table).items()):
                file.write(b'%b\n"%d":%b' % (b"," if place else b"", key, row))
            file.write(b"}")
        file.write(b'},\n"opted_in_ever":%b,\n' % orjson.dumps(opted_in_ever(db, mapping)))
        file.write(b'"erased":%b,\n' % orjson.dumps(erased(db, mapping)))
        file.write(b'"history":%b}\n' % orjson.dumps(history(db)))


def read_truth(path: Path) -> Truth:
    """The truth in a file.

    Raises:
        TruthError: the file is missing or is not a truth file.
    """
    try:
        data: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise TruthError(f"{path}: cannot be read: {error}") from error
    try:
        tables: Dict[str, Dict[str, Row]] = data["tables"]
        whole = {name: dict(rows) for name, rows in tables.items()}
        said = list(data["opted_in_ever"]), list(data.get("erased", ()))
        return Truth(data["seed"], whole, *said, dict(data.get("history", {})))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TruthError(f"{path}: not a truth file of 'owdd simulate'") from error
