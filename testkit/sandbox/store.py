"""The account's state in memory: contacts and their identifiers, and the parts that live in modules of their own.

Handlers never await between reading and writing the store, so one event loop is all the locking there is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from testkit.sandbox.config import Clock, SandboxConfig, utc_now
from testkit.sandbox.consent import NO_CHANNEL
from testkit.sandbox.datafields import DataField, DataFields, Scalar
from testkit.sandbox.insight import Insight
from testkit.sandbox.instants import stamp
from testkit.sandbox.jobs import Jobs
from testkit.sandbox.limits import Limits
from testkit.sandbox.lists import AddressBooks
from testkit.sandbox.programs import Programs
from testkit.sandbox.requestlog import RequestLog

FIRST_CONTACT_ID = 100_001


@dataclass(slots=True)
class Contact:
    """One unified contact. Statuses and types are in the casing of Dotdigital's replies; stamps are ISO UTC."""

    id: int
    identifiers: dict[str, str]
    created: str
    updated: str
    data: dict[str, Scalar] = field(default_factory=dict)
    email_status: str = NO_CHANNEL
    email_type: str = "Html"
    opt_in: str = "Unknown"
    sms_status: str = "noSubscription"
    whatsapp_status: str = "noSubscription"
    lists: list[int] = field(default_factory=list)
    preferences: dict[int, bool] = field(default_factory=dict)
    consents: list[dict[str, str]] = field(default_factory=list)
    binned: str | None = None
    """When it went to the recycle bin."""
    email_moved: str | None = None
    """When the status of its e-mail channel last changed."""

    @property
    def email(self) -> str | None:
        return self.identifiers.get("email")

    def set_email_status(self, status: str, now: str) -> None:
        """Move the e-mail channel to `status`, and note when it changed."""
        if status != self.email_status:
            self.email_status, self.email_moved = status, now


class Store:
    """Contacts by id and by identifier. A binned contact keeps its identifiers until its bin period ends."""

    def __init__(self, config: SandboxConfig, clock: Clock = utc_now) -> None:
        """Raises ApiError when `config.data_fields` holds a name or type that Dotdigital would refuse.

        Raises ValueError when `config` holds a budget or a program that cannot be.
        """
        self.config = config
        self.clock = clock
        self.fields = DataFields(config.data_fields)
        self.lists = AddressBooks(config.lists, config.most_lists)
        self.insight = Insight(clock)
        self.programs = Programs(config.programs)
        self.jobs = Jobs(clock, config.import_seconds)
        self.limits = Limits(config.tiers, config.flat_limit)
        self.events: list[dict[str, Any]] = []
        self.log = RequestLog(config.log_size)
        self._contacts: dict[int, Contact] = {}
        self._ids: list[int] = []
        self._index: dict[tuple[str, str], Contact] = {}
        self._next_id = FIRST_CONTACT_ID

    def reset(self) -> None:
        """Back to the state before the first call."""
        for part in (self.fields, self.lists, self.insight, self.programs, self.jobs, self.limits):
            part.reset()
        self.events.clear()
        self.log.clear()
        self._contacts.clear()
        self._ids.clear()
        self._index.clear()
        self._next_id = FIRST_CONTACT_ID

    def now(self) -> str:
        return stamp(self.clock())

    def __len__(self) -> int:
        return len(self._contacts)

    def __iter__(self) -> Iterator[Contact]:
        """Every contact, binned ones too, by ascending id."""
        return iter(self._contacts.values())

    def find(self, kind: str, value: str) -> Contact | None:
        """The contact, binned or not, that `value` identifies; one whose bin period is over is gone for good."""
        if kind == "contactId":
            found = self._contacts.get(int(value))
        else:
            found = self._index.get((kind, value))
        if found is not None and found.binned is not None and self._expired(found.binned):
            self._forget(found)
            return None
        return found

    def after(self, contact_id: int) -> Iterator[Contact]:
        """Contacts outside the bin whose id is above `contact_id`, ascending."""
        for position in range(bisect_right(self._ids, contact_id), len(self._ids)):
            found = self._contacts.get(self._ids[position])
            if found is not None and found.binned is None:
                yield found

    def taken(self, identifiers: Mapping[str, str], owner: Contact | None) -> tuple[str, str] | None:
        """The first of `identifiers` that belongs to a contact other than `owner`."""
        for kind, value in identifiers.items():
            holder = self.find(kind, value)
            if holder is not None and holder is not owner:
                return kind, value
        return None

    def create(self, identifiers: dict[str, str]) -> Contact:
        """Add a contact; the caller has checked `taken`."""
        now = self.now()
        made = Contact(self._next_id, identifiers, now, now)
        self._next_id += 1
        self._add(made)
        return made

    def rename(self, contact: Contact, identifiers: dict[str, str]) -> None:
        """Exchange all identifiers; the caller has checked `taken`."""
        for key in contact.identifiers.items():
            self._index.pop(key, None)
        contact.identifiers = identifiers
        for key in identifiers.items():
            self._index[key] = contact

    def bin(self, contact: Contact) -> None:
        """Delete to the recycle bin; list membership is lost at once and does not come back."""
        contact.binned = contact.updated = self.now()
        contact.lists.clear()

    def purge(self) -> None:
        """Empty the recycle bin; data fields and insight records of what was in it are gone for good."""
        for contact in [held for held in self if held.binned is not None]:
            self._forget(contact)

    @property
    def next_id(self) -> int:
        """The id that the next new contact gets."""
        return self._next_id

    def restore(self, next_id: int, fields: Iterable[DataField], contacts: Iterable[Contact]) -> None:
        """Exchange the state; configured data fields that `fields` lacks are kept."""
        known = {made.name.upper(): made for made in self.fields} | {made.name.upper(): made for made in fields}
        self.fields.restore(known.values())
        self._contacts.clear()
        self._ids.clear()
        self._index.clear()
        for contact in contacts:
            self._add(contact)
        self._next_id = next_id

    def _add(self, contact: Contact) -> None:
        self._contacts[contact.id] = contact
        self._ids.append(contact.id)
        for key in contact.identifiers.items():
            self._index[key] = contact

    def _forget(self, contact: Contact) -> None:
        del self._contacts[contact.id]
        for key in contact.identifiers.items():
            self._index.pop(key, None)
        self.insight.forget(contact.id)

    def _expired(self, binned: str) -> bool:
        return binned <= stamp(self.clock() - timedelta(days=self.config.bin_days))
