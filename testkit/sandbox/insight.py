"""Insight data: collections of records that belong to the account or to its contacts.

Names, scopes and types are those of the insight specification; a name is unique over both scopes and without regard to
case. Whether two contacts may hold records of one key is unpublished for v3; v2 has a failure reason against it
(`KeyExistingForDifferentContact`), so a key belongs to one contact here, and a record moves by deleting it first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from testkit.sandbox.config import Clock
from testkit.sandbox.insightschema import Fields, MisfitError, absorb
from testkit.sandbox.instants import stamp

MOST_COLLECTIONS = 1000
ACCOUNT = "account"
CONTACT = "contact"
SCOPES = (ACCOUNT, CONTACT)
_NAME = re.compile(r"[-A-Za-z_][-A-Za-z0-9_]{1,255}")
_KEY_LIMIT = 255
_TYPES = {
    name.lower(): name
    for name in (
        "cartInsight",
        "catalog",
        "consentInsight",
        "custom",
        "easyEditorExtensions",
        "nostoEmailCampaigns",
        "orders",
        "productCategories",
        "webInsight",
        "wishList",
    )
}


@dataclass(slots=True)
class Record:
    """One record; `number` grows with every new one, `owner` is a contact id or None."""

    number: int
    key: str
    json: dict[str, Any]
    owner: int | None
    created: str
    updated: str


@dataclass(slots=True)
class Collection:
    """A collection with the schema that its records have fixed."""

    name: str
    scope: str
    type: str
    fields: Fields = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)

    def owned(self, owner: int | None) -> list[Record]:
        return [record for record in self.records.values() if record.owner == owner]


class FullError(Exception):
    """The account has as many collections as it may."""


class Insight:
    """The account's collections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._collections: dict[str, Collection] = {}
        self._next_number = 1

    def reset(self) -> None:
        self._collections.clear()
        self._next_number = 1

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def find(self, name: str) -> Collection | None:
        return self._collections.get(name.lower())

    def create(self, name: str, scope: str, kind: str) -> Collection:
        """Add a collection; the caller has checked its name, scope and type. Raises FullError."""
        if len(self._collections) >= MOST_COLLECTIONS:
            raise FullError
        made = self._collections[name.lower()] = Collection(name, scope, _TYPES[kind.lower()])
        return made

    def drop(self, name: str) -> None:
        self._collections.pop(name.lower(), None)

    def put(self, collection: Collection, key: str, json: dict[str, Any], owner: int | None) -> bool:
        """Write a whole record; True when it is new. Raises MisfitError with nothing changed."""
        if not 1 <= len(key) <= _KEY_LIMIT:
            raise MisfitError("InvalidClientKey", "key", f"must have 1 to {_KEY_LIMIT} characters")
        held = collection.records.get(key)
        if held is not None and held.owner != owner:
            raise MisfitError("KeyExistingForDifferentContact", "key", "belongs to another contact")
        absorb(collection.fields, json)
        now = stamp(self._clock())
        if held is not None:
            held.json, held.updated = json, now
            return False
        collection.records[key] = Record(self._next_number, key, json, owner, now, now)
        self._next_number += 1
        return True

    def forget(self, owner: int) -> None:
        """Remove every record of a contact that is gone for good."""
        for collection in self:
            for record in collection.owned(owner):
                del collection.records[record.key]

    def dump(self) -> dict[str, Any]:
        return {"nextNumber": self._next_number, "collections": [asdict(collection) for collection in self]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._next_number = state["nextNumber"]
        self._collections = {}
        for row in state["collections"]:
            records = {key: Record(**record) for key, record in row["records"].items()}
            self._collections[row["name"].lower()] = Collection(**{**row, "records": records})


def is_collection_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def fits_type(name: str, kind: object) -> bool:
    """Whether `kind` is a collection type that a collection of this name can have; a catalogue is called catalog_..."""
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        return False
    return kind.lower() != "catalog" or name.lower().startswith("catalog_")
