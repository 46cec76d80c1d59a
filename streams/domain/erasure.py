"""Erasure: what remains of changes and rows once a person who must be forgotten is taken from them.

Pure. An address is remembered only as a keyed digest, so that whatever brings it again can be recognised and emptied. The same
rules serve ingest, before a row enters our topics, and every stage, for what was already on its way.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from msgspec.structs import replace

from streams.capture import rows
from streams.capture.addresses import mentioned
from streams.domain.buyers import ERASED, BuyerRow, is_person
from streams.domain.departures import Move
from streams.domain.last_workable import LastWorkable
from streams.domain.orders import OrderRow
from streams.domain.recipient_state import RecipientState
from streams.domain.versioned import Versioned
from streams.messages.changes import Change, ChangeKind, CreditedOrder, RecipientsQuery, RecipientsReply
from streams.messages.contributions import AddressLeft, BuyerContribution, ContributionExcluded

T = TypeVar("T")
C = TypeVar("C", bound=Change)

Erased: TypeAlias = Callable[[str], bool]
"""Whether a normalised address is one of a person who must be forgotten."""
ErasedDigests: TypeAlias = Mapping[str, bytes]
"""Addresses that must be forgotten now, with their digests."""

NOBODY = ""
"""Stands where the address of one who must be forgotten was remembered, and another's must not take its place."""


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
            emails, excluded = _others(row.emails, erased), _others(row.excluded, erased)
            known = bool(emails or excluded) or not row.named
            first, last = (_name(name, erased) if known else None for name in (row.first_name, row.last_name))
            return _with(row, emails=emails, first_name=first, last_name=last, excluded=excluded)
        case rows.Customer():
            return _with(row, account=_text(row.account, erased), emails=_others(row.emails, erased))
        case rows.Detail(email=str(email)) if erased(email):
            return replace(row, email=None, erased=True)
        case RecipientsQuery(own=str(own)) if erased(own):
            return replace(row, own=ERASED)
        case RecipientsReply(address=str(address)) | CreditedOrder(address=str(address)) if erased(address):
            return replace(row, address=None)
        case BuyerContribution():
            first, last = (_name(name, erased) for name in (row.first_name, row.last_name))
            account, moved_to = _text(row.account, erased), _others(row.moved_to, erased)
            came_from = tuple(one for one in row.came_from if not erased(one[0]))
            return _with(row, first_name=first, last_name=last, account=account, moved_to=moved_to, came_from=came_from)
        case ContributionExcluded(moved_to=moved_to):
            return _with(row, moved_to=_others(moved_to, erased))
        case AddressLeft(moved_to=to, earlier=earlier):
            return _with(row, moved_to=None if to is not None and erased(to) else to, earlier=_others(earlier, erased))
    return row


def _with(row: T, **fields: object) -> T:
    """The row with these fields; the very same if it has them."""
    same = all(getattr(row, name) == value for name, value in fields.items())
    return row if same else replace(row, **fields)  # type: ignore[type-var]  # whoever calls has a struct


def _name(name: str | None, erased: Erased) -> str | None:
    return ERASED if name is not None and _text(name, erased) is None else name


def _text(text: str | None, erased: Erased) -> str | None:
    """A name or code, none if it holds an address that is erased."""
    return None if any(erased(address) for address in _written(text)) else text


def _written(text: str | None) -> Iterable[str]:
    return mentioned(text) if text is not None else ()


def _others(addresses: tuple[str, ...], erased: Erased) -> tuple[str, ...]:
    return tuple(address for address in addresses if not erased(address))


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a state row that may hold addresses.

    ``mentions`` yields every address in it, ``without`` is its value once those of ``erased`` are taken out.
    """

    mentions: Callable[[Any], Iterable[str | None]]
    without: Callable[[Any, ErasedDigests], Any]


def _forget(row: BuyerRow | OrderRow, table: Mapping[str, _Field], erased: ErasedDigests) -> bool:
    """Take those who are ``erased`` out of every field of ``table``; False if the row never named any of them."""
    named = {address for name, field in table.items() for address in field.mentions(getattr(row, name))}
    if not _mark(row.erased, named, erased):
        return False
    for name, field in table.items():
        setattr(row, name, field.without(getattr(row, name), erased))
    return True


def forget_in_buyer(row: BuyerRow, erased: ErasedDigests) -> bool:
    """Take those who are ``erased`` out of a buyer; False if the row never named any of them."""
    return _forget(row, _BUYER_FIELDS, erased)


def forget_in_order(row: OrderRow, erased: ErasedDigests) -> bool:
    """Take those who are ``erased`` out of an order, which on a house account is then nobody's; False if it named none."""
    return _forget(row, _ORDER_FIELDS, erased)


def _in_customer(cell: Versioned[rows.Customer] | None) -> Iterator[str]:
    yield from _in_account(None if cell is None else cell.row)


def _in_account(account: rows.Customer | None) -> Iterator[str]:
    if account is not None:
        yield from account.emails
        yield from _written(account.account)


def _scrub_account(account: rows.Customer | None, erased: ErasedDigests) -> rows.Customer | None:
    return None if account is None else _scrubbed_row(account, erased.__contains__)


def _in_contacts(cells: dict[int, Versioned[rows.Contact]]) -> Iterator[str]:
    for person in (cell.row for cell in cells.values() if cell.row is not None):
        yield from person.named
        # Names are searched too: people type addresses where a name belongs.
        yield from (address for text in (person.first_name, person.last_name) for address in _written(text))


def _in_moves(moves: dict[int, Move]) -> Iterator[str | None]:
    for move in moves.values():
        yield from (*move.left, move.to)


def _in_details(cells: dict[int, Versioned[rows.Detail]]) -> Iterator[str | None]:
    yield from (cell.row.email for cell in cells.values() if cell.row is not None)


def _without_cells(cells: dict[int, Versioned[T]], erased: ErasedDigests) -> dict[int, Versioned[T]]:
    return {pk: _scrubbed_cell(cell, erased) for pk, cell in cells.items()}


def _without_published(published: dict[str, str | None], erased: ErasedDigests) -> dict[str, str | None]:
    return {address: _kept(to, erased) for address, to in published.items() if address not in erased}


def _without_move(move: Move, erased: ErasedDigests) -> Move:
    left = {address: at for address, at in move.left.items() if address not in erased}
    return Move(left, _kept(move.to, erased), tuple(address for address in move.same if address in left))


def _without_buyers(buyers: list[str], erased: ErasedDigests) -> list[str]:
    return [buyer for buyer in buyers if not (is_person(buyer) and buyer[1:] in erased)]


def _kept(address: str | None, erased: ErasedDigests) -> str | None:
    return None if address in erased else address


_BUYER_FIELDS: Final[Mapping[str, _Field]] = {
    "customer": _Field(_in_customer, lambda cell, erased: None if cell is None else _scrubbed_cell(cell, erased)),
    "last_customer": _Field(_in_account, _scrub_account),
    "contacts": _Field(_in_contacts, _without_cells),
    "published_addresses": _Field(lambda published: (*published, *published.values()), _without_published),
    "first": _Field(
        lambda first: () if first is None else (first[1],),
        lambda first, erased: None if first is None or first[1] in erased else first,
    ),
    "moves": _Field(_in_moves, lambda moves, erased: {pk: _without_move(move, erased) for pk, move in moves.items()}),
}
"""Where a buyer's row may hold an address."""


def _without_last(last: LastWorkable, erased: ErasedDigests) -> LastWorkable:
    details = {key: _scrubbed_row(detail, erased.__contains__) for key, detail in last.details.items()}
    return replace(last, details=details)


def _in_recipient(known: RecipientState) -> Iterator[str | None]:
    yield known.own.address if known.own is not None else None
    yield known.reply.address if known.reply is not None else None
    yield from (cell.row.address for cell in known.orders.values() if cell.row is not None)


def _without_recipient(known: RecipientState, erased: ErasedDigests) -> RecipientState:
    own, reply = known.own, known.reply
    return replace(
        known,
        own=None if own is None or own.address in erased else own,
        reply=None if reply is None else replace(reply, address=_kept(reply.address, erased)),
        orders=_without_cells(known.orders, erased),
    )


_ORDER_FIELDS: Final[Mapping[str, _Field]] = {
    "last": _Field(lambda last: (detail.email for detail in last.details.values()), _without_last),
    "details": _Field(_in_details, _without_cells),
    "buyers": _Field(lambda buyers: (buyer[1:] for buyer in buyers if is_person(buyer)), _without_buyers),
    "records": _Field(
        lambda places: (to for to, _ in places),
        lambda places, erased: [(to, key) for to, key in places if to not in erased],
    ),
    # Not None: that would let the credit note name another recipient, who must not get this follow-up.
    "follow_up_recipient": _Field(lambda address: (address,), lambda address, erased: NOBODY if address in erased else address),
    "former_follow_up_recipients": _Field(
        lambda addresses: addresses,
        lambda addresses, erased: [address for address in addresses if address not in erased],
    ),
    "recipient": _Field(_in_recipient, _without_recipient),
}
"""Where an order's row may hold an address."""


def _scrubbed_cell(cell: Versioned[T], erased: ErasedDigests) -> Versioned[T]:
    return replace(cell, row=_scrubbed_row(cell.row, erased.__contains__))


def _mark(digests: list[bytes], named: Iterable[str | None], erased: ErasedDigests) -> bool:
    """Remember who is taken out of a row; whether anybody is, or was before a crash that may have lost what followed."""
    found = {erased[address] for address in named if address is not None and address in erased}
    digests.extend(digest for digest in found if digest not in digests)
    return any(digest in digests for digest in erased.values())
