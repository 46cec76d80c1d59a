"""A Dotdigital account at rest, as the oracle sees it."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Actual:
    """One contact as the account has it; ``fields`` holds its data fields, absent where empty; ``created``: when it was."""

    email: str
    status: str | None
    fields: Dict[str, Any]
    binned: bool = False
    id: int = 0
    lists: tuple[int, ...] = ()
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One insight record; ``owner`` is a contact id, None for a record of the account."""

    key: str
    owner: int | None
    content: Dict[str, Any]


@dataclass(frozen=True, slots=True)
class Collection:
    """The records of one collection."""

    name: str
    scope: str
    type: str
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One custom event that a contact got."""

    contact: int
    type: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that is compared. ``lists``: name by id; ``programs``: the contacts enrolled, by programme."""

    contacts: tuple[Actual, ...] = ()
    lists: Dict[int, str] = field(default_factory=dict)
    collections: tuple[Collection, ...] = ()
    events: tuple[Event, ...] = ()
    programs: Dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def by_id(self) -> dict[int, Actual]:
        """Contacts outside the bin, by id."""
        return {contact.id: contact for contact in self.contacts if not contact.binned}

    def collection(self, name: str) -> Collection | None:
        """A collection by its name, which is the same in any case."""
        return next((found for found in self.collections if found.name.casefold() == name.casefold()), None)
