"""What the database holds: the rows by which everything downstream is judged."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streams.errors import OwddError
from streams.mapping import Mapping
from streams.oracle.rows import addresses
from streams.simulate.database import Database
from streams.simulate.tables import KEYS, Row


class TruthError(OwddError):
    """A truth file cannot be read."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Current rows by table and key (as text), encoded as in events, under the site's names.

    ``opted_in_ever`` are the addresses that some version of a contact row opted in: only these may be subscribed.
    """

    seed: int
    tables: dict[str, dict[str, Row]]
    opted_in_ever: list[str]


def truth_of(db: Database, mapping: Mapping, seed: int) -> Truth:
    """A copy of everything in ``db``."""
    tables = {db.names[table].table: {str(key): orjson.loads(row) for key, row in db.encoded(table).items()} for table in KEYS}
    return Truth(seed, tables, opted_in_ever(db, mapping))


def opted_in_ever(db: Database, mapping: Mapping) -> list[str]:
    """Every address that a contact row ever opted in; none without a mapped consent."""
    if mapping.consent.mode == "none":
        return []
    fields = {email for value, email in db.opt_in_values if value.strip().casefold() in mapping.consent.opted_in}
    return sorted({address for email in fields for address in addresses(email)})


def write_truth(db: Database, mapping: Mapping, seed: int, path: Path) -> None:
    """Write the truth file row by row: a large shop is never held twice in memory.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        file.write(b'{"seed":%d,"tables":{' % seed)
        for index, table in enumerate(KEYS):
            file.write(b"%b\n%b:{" % (b"," if index else b"", orjson.dumps(db.names[table].table)))
            for place, (key, row) in enumerate(db.encoded(table).items()):
                file.write(b'%b\n"%d":%b' % (b"," if place else b"", key, row))
            file.write(b"}")
        file.write(b'},\n"opted_in_ever":%b}\n' % orjson.dumps(opted_in_ever(db, mapping)))


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
        return Truth(data["seed"], {name: dict(rows) for name, rows in tables.items()}, list(data["opted_in_ever"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TruthError(f"{path}: not a truth file of 'owdd simulate'") from error
