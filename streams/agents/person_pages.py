"""The persons of a large account, in pages of their own: a change reads and writes those that it concerns, not all of them.

A small account keeps its persons in its own row, which then has no others. From :data:`MOST_INLINE` persons on they move, for
good, to pages by contact row, beside pages by address that say which contact rows name or have left an address. For one unit
the persons that it needs are put back into the account's row, where the rules of :mod:`streams.domain.buyers` find them.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar
from zlib import crc32

import msgspec

from streams.capture import rows
from streams.domain.buyers import BuyerRow, first_person, unreadable_persons
from streams.domain.departures import Move
from streams.domain.versioned import Versioned
from streams.engine.unit_of_work import Codec, UnitOfWork

T = TypeVar("T")

MOST_INLINE = 50
"""Persons in the account's own row."""

_PAGES = 1_024
"""Pages of either kind; an account of 40,000 persons has about 40 in each."""


class _Persons(msgspec.Struct, array_like=True, gc=False):
    contacts: dict[int, Versioned[rows.Contact]] = {}
    moves: dict[int, Move] = {}


class _Addresses(msgspec.Struct, array_like=True, gc=False):
    """``people``: the contact rows that name or have left an address, or did once; ``published`` as in the account's row."""

    people: dict[str, list[int]] = {}
    published: dict[str, str | None] = {}


_persons = Codec("n", _Persons)
_addresses = Codec("a", _Addresses)
PREFIXES = (b"n", b"a")
"""The stored keys of pages; what follows is the account's key, up to a NUL."""


class PersonPages:
    """The pages of one account in one unit; ``row`` is the account's, which holds what was read of them."""

    def __init__(self, unit: UnitOfWork, key: str, row: BuyerRow, *, whole: bool = False) -> None:
        self._unit = unit
        self._key = key
        self._row = row
        self._known_persons: set[int] = set(row.contacts) | set(row.moves) if whole else set()
        self._known_addresses: set[str] = _named(row) | set(row.published_addresses) if whole else set()
        self._whole = whole

    def read_for(self, pk: int, named: Iterable[str]) -> None:
        """Read a contact row, and everybody with an address that it names, has left, or will name (``named``)."""
        first, customer = self._row.first, self._row.customer
        if first is None or first[0] == pk or customer is None or customer.row is None:
            # Another first person, or none, makes a difference that only all of them show.
            self.read_all()
            return
        self.read_person(pk)
        cell, move = self._row.contacts.get(pk), self._row.moves.get(pk)
        emails = cell.row.named if cell is not None and cell.row is not None else ()
        for address in {*named, *emails, *(move.left if move is not None else ())}:
            self.read_address(address)

    def read_address(self, address: str) -> None:
        """Read everybody who names or has left an address, and what was published to it."""
        if self._whole or address in self._known_addresses:
            return
        self._known_addresses.add(address)
        page = _addresses.load(self._unit, self._of_address(address))
        if address in page.published:
            self._row.published_addresses[address] = page.published[address]
        for pk in page.people.get(address, ()):
            self.read_person(pk)

    def read_all(self) -> None:
        """Read every page."""
        if self._whole:
            return
        for _, value in self._unit.scan(_addresses.key(f"{self._key}\0")):
            page = _addresses.decode(value)
            self._row.published_addresses |= {
                address: to for address, to in page.published.items() if address not in self._known_addresses
            }
            self._known_addresses |= page.people.keys() | page.published.keys()
        for _, value in self._unit.scan(_persons.key(f"{self._key}\0")):
            found = _persons.decode(value)
            for pk in (found.contacts.keys() | found.moves.keys()) - self._known_persons:
                self._put(pk, found)
        # From here on the row speaks for itself.
        self._whole, self._row.first = True, None

    def write(self) -> None:
        """Write the pages of what was read, as the row holds it now, and take it out of the row.

        To be called before the row is written. Pages by address come first: after a crash nobody may be missing there.
        """
        row = self._row
        row.first, row.unreadable = first_person(row), unreadable_persons(row)
        self._write_addresses()
        self._write_persons()
        row.contacts, row.moves, row.published_addresses = {}, {}, {}

    def _write_addresses(self) -> None:
        people: dict[str, list[int]] = defaultdict(list)
        for pk in sorted(self._row.contacts.keys() | self._row.moves.keys()):
            for address in _named_by(self._row, pk):
                people[address].append(pk)
        by_page: dict[str, list[str]] = defaultdict(list)
        known = self._known_addresses | people.keys() if self._whole else self._known_addresses
        # An account's own address may be published to without a person who has it.
        for address in known | self._row.published_addresses.keys():
            by_page[self._of_address(address)].append(address)
        for name, addresses in by_page.items():
            page = _addresses.load(self._unit, name)
            for address in addresses:
                if address in known:
                    _set(page.people, address, people.get(address))
                page.published.pop(address, None)
                if address in self._row.published_addresses:
                    page.published[address] = self._row.published_addresses[address]
            self._save(_addresses, name, page, empty=not (page.people or page.published))

    def _write_persons(self) -> None:
        by_page: dict[str, list[int]] = defaultdict(list)
        for pk in self._known_persons | self._row.contacts.keys():
            by_page[self._of_person(pk)].append(pk)
        for name, keys in by_page.items():
            page = _persons.load(self._unit, name)
            for pk in keys:
                _set(page.contacts, pk, self._row.contacts.get(pk))
                _set(page.moves, pk, self._row.moves.get(pk))
            self._save(_persons, name, page, empty=not (page.contacts or page.moves))

    def _save(self, codec: Codec[T], name: str, page: T, *, empty: bool) -> None:
        before = self._unit.get(codec.key(name))
        if empty:
            if before is not None:
                self._unit.put(codec.key(name), None)
        elif (after := codec.encode(page)) != before:
            self._unit.put(codec.key(name), after)

    def read_person(self, pk: int) -> None:
        """Read one contact row, and nobody else who has its addresses."""
        if not self._whole and pk not in self._known_persons:
            self._put(pk, _persons.load(self._unit, self._of_person(pk)))

    def _put(self, pk: int, page: _Persons) -> None:
        self._known_persons.add(pk)
        if pk in page.contacts:
            self._row.contacts[pk] = page.contacts[pk]
        if pk in page.moves:
            self._row.moves[pk] = page.moves[pk]

    def _of_person(self, pk: int) -> str:
        return f"{self._key}\0{pk % _PAGES}"

    def _of_address(self, address: str) -> str:
        return f"{self._key}\0{crc32(address.encode()) % _PAGES}"


def _named(row: BuyerRow) -> set[str]:
    return {address for pk in row.contacts.keys() | row.moves.keys() for address in _named_by(row, pk)}


def _named_by(row: BuyerRow, pk: int) -> set[str]:
    """The addresses that a contact row names or has left."""
    cell, move = row.contacts.get(pk), row.moves.get(pk)
    emails = cell.row.named if cell is not None and cell.row is not None else ()
    return {*emails, *(move.left if move is not None else ())}


def _set(found: dict, key: object, value: object) -> None:  # type: ignore[type-arg]  # any page; TypeVar adds nothing
    """Put ``value``, or take the key out if there is none."""
    if value is None:
        found.pop(key, None)
    else:
        found[key] = value
