"""Erasure: what remains of changes and rows once a person who must be forgotten is taken from them (law 6).

Pure. An address is remembered only as a keyed digest, so that whatever brings it again can be recognised and emptied. The same
rules serve ingest, before a row enters our topics, and every stage, for what was already on its way.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

from msgspec.structs import replace

from streams.capture import rows
from streams.domain.buyers import BuyerRow, is_person
from streams.domain.cells import Cell
from streams.domain.changes import Change, Kind, Left, Message, Recipients
from streams.domain.orders import OrderRow

Digest: TypeAlias = Callable[[str], bytes]
"""The digest of a normalised address."""
Erased: TypeAlias = Callable[[str], bool]
"""Whether a normalised address is one of a person who must be forgotten."""

_OF_BUYER = (Kind.CONTACT, Kind.FACT, Kind.SEEK)


def digester(key: bytes) -> Digest:
    """The digest under ``key``; too long to be guessed back, too keyed to be looked up."""

    def digest(address: str) -> bytes:
        return blake2b(address.encode(), key=key[:64], digest_size=16).digest()

    return digest


def scrubbed(change: Change, erased: Erased) -> Change | None:
    """What remains of a change; the very same if it names nobody who is erased, None if it is about nobody else."""
    owner = _owner(change)
    if owner is not None and erased(owner):
        return None
    row = _scrubbed_row(change.row, erased)
    return change if row is change.row else replace(change, row=row)


def _owner(change: Change) -> str | None:
    """The one address that a change is about, if there is one."""
    if change.kind is Kind.PART:
        return change.key
    buyer = change.key if change.kind in _OF_BUYER else change.pk if change.kind is Kind.RECIPIENTS else None
    return buyer[1:] if isinstance(buyer, str) and is_person(buyer) else None


def _scrubbed_row(row: Message | None, erased: Erased) -> Message | None:
    match row:
        case rows.Contact():
            emails = _others(row.emails, erased)
            if emails == row.emails:
                return row
            return replace(row, emails=emails) if emails else rows.Contact((), None, None, row.opted, erased=True)
        case rows.Customer() if (emails := _others(row.emails, erased)) != row.emails:
            return replace(row, emails=emails)
        case rows.Detail(email=str(email)) if erased(email):
            return replace(row, email=None, erased=True)
        case Recipients() if (addresses := _others(row.addresses, erased)) != row.addresses:
            return Recipients(addresses)
        case Left(moved_to=str(address)) if erased(address):
            return Left(None)
    return row


def _others(addresses: tuple[str, ...], erased: Erased) -> tuple[str, ...]:
    return tuple(address for address in addresses if not erased(address))


def _scrub_cells(cells: dict[int, Cell[rows.Contact]] | dict[int, Cell[rows.Detail]], erased: Erased) -> None:
    for pk, cell in cells.items():
        cells[pk] = replace(cell, row=_scrubbed_row(cell.row, erased))  # type: ignore[arg-type]  # a row keeps its type


def forget_in_buyer(row: BuyerRow, erased: Erased) -> None:
    """Take the erased out of an account's rows, and out of what it told; who came after them takes their place there."""
    if row.customer is not None:
        row.customer = replace(row.customer, row=_scrubbed_row(row.customer.row, erased))
    _scrub_cells(row.contacts, erased)
    for address in [address for address in row.told if erased(address)]:
        successor = row.told.pop(address)
        row.told = {told: successor if to == address else to for told, to in row.told.items()}
    row.told = {told: None if to is not None and erased(to) else to for told, to in row.told.items()}


def forget_in_order(row: OrderRow, erased: Erased) -> None:
    """Take the erased out of an order; on a house account it is then nobody's."""
    _scrub_cells(row.details, erased)
    row.buyers = [buyer for buyer in row.buyers if not (is_person(buyer) and erased(buyer[1:]))]
