"""Contact lists, which v2 calls address books: names and visibility; membership is kept with the contact.

Names are unique without regard to case, up to 128 characters, and "Test" and "All Contacts" are Dotdigital's own (its
address-book specification). No published number bounds an account's lists; `most` lets a test have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from testkit.sandbox.error_replies import v2_error

_NAME_LIMIT = 128
_RESERVED = frozenset(("test", "all contacts"))
_VISIBILITIES = {"private": "Private", "public": "Public"}


@dataclass(slots=True)
class AddressBook:
    """One list."""

    id: int
    name: str
    visibility: str = "Private"


class AddressBooks:
    """The account's lists by id."""

    def __init__(self, configured: Mapping[int, str], most: int | None) -> None:
        self._configured = dict(configured)
        self._most = most
        self._books: dict[int, AddressBook] = {}
        self.names: dict[int, str] = {}
        """Name by id: what contact replies show."""
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        self._fill(AddressBook(number, name) for number, name in self._configured.items())
        self._next_id = max(self._configured, default=0) + 1

    def find(self, number: int) -> AddressBook:
        """Raises ApiError 404 ERROR_ADDRESSBOOK_NOT_FOUND."""
        book = self._books.get(number)
        if book is None:
            raise v2_error(404, "Error: ERROR_ADDRESSBOOK_NOT_FOUND")
        return book

    def create(self, name: object, visibility: object) -> AddressBook:
        """Raises ApiError 400: ERROR_ADDRESSBOOK_ INVALID, DUPLICATE or LIMITEXCEEDED."""
        checked = self._check(name, visibility, None)
        if self._most is not None and len(self._books) >= self._most:
            raise v2_error(400, "Error: ERROR_ADDRESSBOOK_LIMITEXCEEDED")
        book = AddressBook(self._next_id, *checked)
        self._next_id += 1
        self._books[book.id] = book
        self.names[book.id] = book.name
        return book

    def change(self, book: AddressBook, name: object, visibility: object) -> None:
        """Raises ApiError 400 as `create` does."""
        book.name, book.visibility = self._check(name, visibility, book)
        self.names[book.id] = book.name

    def delete(self, number: int) -> None:
        del self._books[number], self.names[number]

    def __iter__(self) -> Iterator[AddressBook]:
        return iter(self._books.values())

    def dump(self) -> dict[str, Any]:
        return {"nextId": self._next_id, "lists": [asdict(book) for book in self]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._fill(AddressBook(**row) for row in state["lists"])
        self._next_id = state["nextId"]

    def _fill(self, books: Iterator[AddressBook]) -> None:
        self._books = {book.id: book for book in books}
        self.names.clear()
        self.names.update((book.id, book.name) for book in self)

    def _check(self, name: object, visibility: object, own: AddressBook | None) -> tuple[str, str]:
        shown = _VISIBILITIES.get(str(visibility).lower())
        if not isinstance(name, str) or not 1 <= len(name) <= _NAME_LIMIT or shown is None:
            raise v2_error(400, "The name or visibility of the address book cannot be used. ERROR_ADDRESSBOOK_INVALID")
        folded = name.lower()
        if folded in _RESERVED or any(book is not own and book.name.lower() == folded for book in self):
            raise v2_error(400, "Error: ERROR_ADDRESSBOOK_DUPLICATE")
        return name, shown
