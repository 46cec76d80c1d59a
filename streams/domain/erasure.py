"""Erasure: what remains of changes and rows once a person who must be forgotten is taken from them.

Pure. An address is remembered only as a keyed digest, so that whatever brings it again can be recognised and emptied. The same
rules serve ingest, before a row enters our topics, and every stage, for what was already on its way.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias, TypeVar

from msgspec.structs import replace

from streams.capture import rows, values
from streams.domain.buyers import BuyerRow, Move, is_person
from streams.domain.orders import OrderRow
from streams.domain.versioned import Versioned
from streams.messages.changes import AddressLeft, BuyerContribution, Change, ChangeKind, RecipientsReply

T = TypeVar("T")
C = TypeVar("C", bound=Change)

Digest: TypeAlias = Callable[[str], bytes]
"""The digest of a normalised address."""
Erased: TypeAlias = Callable[[str], bool]
"""Whether a normalised address is one of a person who must be forgotten."""
ErasedDigests: TypeAlias = Mapping[str, bytes]
"""Addresses that must be forgotten now, with their digests."""

NOBODY = ""
"""Stands where the address of one who must be forgotten was remembered, and another's must not take its place."""


def digester(key: bytes) -> Digest:
    """The digest under ``key``; too long to be guessed back, too keyed to be looked up."""

    def digest(address: str) -> bytes:
        return blake2b(address.encode(), key=key[:64], digest_size=16).digest()

    return digest


def scrubbed(change: C, erased: Erased) -> C | None:
    """What remains of a change; the very same if it names nobody who is erased, None if it is about nobody else."""
    if any(erased(owner) for owner in _owners(change)):
        return None
    row = _scrubbed_row(change.row, erased)
    return change if row is change.row else replace(change, row=row)


def _owners(change: Change) -> set[str]:
    """The addresses without which a change is about nobody."""
    if change.kind is ChangeKind.BUYER_CONTRIBUTION:
        return {change.key, *_person(str(change.pk))}
    return _person(change.key) if change.kind in (ChangeKind.CONTACT, ChangeKind.ORDER_FACT) else set()


def _person(buyer: str) -> set[str]:
    return {buyer[1:]} if is_person(buyer) else set()


def _scrubbed_row(row: T, erased: Erased) -> T:
    match row:
        case rows.Contact():
            emails = _others(row.emails, erased)
            known = bool(emails) or not row.emails
            first, last = (_text(name, erased) if known else None for name in (row.first_name, row.last_name))
            return _with(row, emails=emails, first_name=first, last_name=last)
        case rows.Customer():
            return _with(row, account=_text(row.account, erased), emails=_others(row.emails, erased))
        case rows.Detail(email=str(email)) if erased(email):
            return replace(row, email=None, erased=True)
        case RecipientsReply():
            return _with(row, addresses=_others(row.addresses, erased))
        case BuyerContribution():
            first, last, account = (_text(text, erased) for text in (row.first_name, row.last_name, row.account))
            moved_to = _others(row.moved_to, erased)
            return _with(row, first_name=first, last_name=last, account=account, moved_to=moved_to)
        case AddressLeft(moved_to=str(address)) if erased(address):
            return replace(row, moved_to=None)
    return row


def _with(row: T, **fields: object) -> T:
    """The row with these fields; the very same if it has them."""
    same = all(getattr(row, name) == value for name, value in fields.items())
    return row if same else replace(row, **fields)  # type: ignore[type-var]  # whoever calls has a struct


def _text(text: str | None, erased: Erased) -> str | None:
    """A name or code, none if it holds an address that is erased."""
    return None if any(erased(address) for address in _written(text)) else text


def _written(text: str | None) -> tuple[str, ...]:
    return values.addresses(text, "") if text is not None and "@" in text else ()


def _others(addresses: tuple[str, ...], erased: Erased) -> tuple[str, ...]:
    return tuple(address for address in addresses if not erased(address))


def forget_in_buyer(row: BuyerRow, gone: ErasedDigests) -> bool:
    """Take those who are ``gone`` out of a buyer; False if the row never named any of them."""
    persons = [cell.row for cell in row.contacts.values() if cell.row is not None]
    account = row.customer.row if row.customer is not None else None
    named = {address for person in persons for address in person.emails}
    texts = [account.account] if account is not None else []
    texts += [name for person in persons for name in (person.first_name, person.last_name)]
    named.update(address for text in texts for address in _written(text))
    named.update(account.emails if account is not None else (), row.recipients or (), row.published_addresses)
    named.update(to for to in row.published_addresses.values() if to is not None)
    named.update(address for move in row.moves.values() for address in (*move.left, move.to) if address is not None)
    if not _mark(row.erased, named, gone):
        return False
    if row.customer is not None:
        row.customer = _scrubbed_cell(row.customer, gone)
    row.contacts = {pk: _scrubbed_cell(cell, gone) for pk, cell in row.contacts.items()}
    row.recipients = None if row.recipients is None else _others(row.recipients, gone.__contains__)
    row.published_addresses = {
        published: None if to in gone else to for published, to in row.published_addresses.items() if published not in gone
    }
    row.moves = {pk: _scrubbed_move(move, gone) for pk, move in row.moves.items()}
    return True


def _scrubbed_move(move: Move, gone: ErasedDigests) -> Move:
    left = {address: at for address, at in move.left.items() if address not in gone}
    return Move(left, None if move.to in gone else move.to)


def forget_in_order(row: OrderRow, gone: ErasedDigests) -> bool:
    """Take those who are ``gone`` out of an order, which on a house account is then nobody's; False if it named none."""
    known = row.recipient
    published = [*(to for to, _ in row.records), *(buyer[1:] for buyer in row.buyers if is_person(buyer))]
    own = [cell.row.email for cell in row.details.values() if cell.row is not None]
    named = {
        row.follow_up_recipient,
        *row.former_follow_up_recipients,
        *published,
        *own,
        *((known.own, known.address) if known is not None else ()),
    }
    if not _mark(row.erased, (address for address in named if address is not None), gone):
        return False
    row.details = {pk: _scrubbed_cell(cell, gone) for pk, cell in row.details.items()}
    row.buyers = [buyer for buyer in row.buyers if not (is_person(buyer) and buyer[1:] in gone)]
    row.records = [(to, key) for to, key in row.records if to not in gone]
    row.follow_up_recipient = NOBODY if row.follow_up_recipient in gone else row.follow_up_recipient
    row.former_follow_up_recipients = [address for address in row.former_follow_up_recipients if address not in gone]
    if known is not None:
        own_address = None if known.own in gone else known.own
        row.recipient = replace(known, own=own_address, address=None if known.address in gone else known.address)
    return True


def _scrubbed_cell(cell: Versioned[T], gone: ErasedDigests) -> Versioned[T]:
    return replace(cell, row=_scrubbed_row(cell.row, gone.__contains__))


def _mark(digests: list[bytes], named: Iterable[str], gone: ErasedDigests) -> bool:
    """Remember who is taken out of a row; whether anybody is, or was before a crash that may have lost what followed."""
    digests.extend(digest for digest in {gone[address] for address in named if address in gone} if digest not in digests)
    return any(digest in digests for digest in gone.values())
