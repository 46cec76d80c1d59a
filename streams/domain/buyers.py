"""One buyer: an account with its persons, or a person known only by the address on house orders.

Turns a buyer into one :class:`AnyContribution` per address (``docs/contact-rules.md`` section 3).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, TypeAlias

import msgspec

from streams.capture import rows
from streams.domain.consent_answers import answers_by_address
from streams.domain.departures import Move, address_left, departed, destinations, origins, still_same
from streams.domain.held_reason import HeldReason
from streams.domain.order_tree import Leaf, Node, Pages, find, merge, totals_of
from streams.domain.versioned import Versioned, is_not_older, merged
from streams.messages.changes import Change, ChangeKind, OrderFact, Totals
from streams.messages.contributions import AddressLeft, BuyerContribution, ContributionExcluded, ContributionHeld

AnyContribution: TypeAlias = BuyerContribution | ContributionHeld | ContributionExcluded | AddressLeft
"""What a buyer publishes to an address."""

ERASED = ""
"""Stands where a name held the address of a person who was erased: unlike a blank one, it must be emptied in Dotdigital."""


class Named(Protocol):
    """Whatever has a name."""

    @property
    def first_name(self) -> str | None:
        """The first name."""

    @property
    def last_name(self) -> str | None:
        """The last name."""


class BuyerRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one buyer.

    ``root`` is the root of the order tree, ``next_page`` its next unused page; ``published_addresses`` maps every address to
    which this buyer ever published a contribution to the address that took its place (None: it is current, or nothing did);
    ``asked``: an order has asked whom it belongs to; ``erased`` the digests of those who were taken out of this row;
    ``moves`` who moved, by contact row. ``paged``: the persons of a large account, with what was published to addresses,
    have pages of their own, and only those are here that somebody has read; then ``first`` is the first person with an
    address (contact row, address), None also if everybody was read, and ``unreadable`` are the contact rows whose address
    nobody can read. ``last_customer``: the account's row when it was deleted.
    """

    customer: Versioned[rows.Customer] | None = None
    contacts: dict[int, Versioned[rows.Contact]] = {}
    root: Node = msgspec.field(default_factory=Leaf)
    next_page: int = 1
    published_addresses: dict[str, str | None] = {}
    held: HeldReason | None = None
    version: int = 0
    asked: bool = False
    erased: list[bytes] = []
    moves: dict[int, Move] = {}
    paged: bool = False
    first: tuple[int, str] | None = None
    unreadable: list[int] = []
    last_customer: rows.Customer | None = None


def cell_at(row: BuyerRow, change: Change) -> Versioned[Any] | None:
    """What the buyer holds in the place that a customer or contact row writes."""
    return row.customer if change.kind is ChangeKind.CUSTOMER else row.contacts.get(int(change.pk))


def apply(row: BuyerRow, change: Change) -> bool:
    """Write one customer or contact row into the buyer; False when it is older than what is there."""
    old = cell_at(row, change)
    if not is_not_older(old, change.position):
        return False
    if change.kind is ChangeKind.CUSTOMER:
        _apply_customer(row, merged(old, change))
        return True
    cell: Versioned[rows.Contact] = Versioned(change.position, None)
    if not isinstance(change.row, AddressLeft):
        cell = _with_last_address(old, merged(old, change))
    row.contacts[int(change.pk)] = cell
    has = (change.row.moved_to,) if isinstance(change.row, AddressLeft) else _emails(cell)
    _move(row, change, _emails(old), has, unchanged=_same_name(old, cell))
    return True


def _apply_customer(row: BuyerRow, new: Versioned[rows.Customer]) -> None:
    """An account that is deleted leaves what its persons still show of it; addresses that cannot be read are not emptied."""
    before = row.customer.row if row.customer is not None else None
    if new.row is None:
        row.last_customer = before or row.last_customer
    else:
        row.last_customer = None
        if new.row.unreadable and before is not None:
            new = Versioned(new.position, msgspec.structs.replace(new.row, emails=before.emails))
    row.customer = new


def _with_last_address(old: Versioned[rows.Contact] | None, new: Versioned[rows.Contact]) -> Versioned[rows.Contact]:
    """A person whose address cannot be read stays at the last one that could, with the name that belonged to it."""
    if new.row is None or not new.row.unreadable or old is None or old.row is None:
        return new
    last = {name: getattr(old.row, name) for name in ("emails", "excluded", "first_name", "last_name")}
    return Versioned(new.position, msgspec.structs.replace(new.row, **last))


def addresses_concerned(row: BuyerRow, change: Change) -> set[str]:
    """The addresses that a contact row names or has left, as the buyer has it now."""
    cell, move = row.contacts.get(int(change.pk)), row.moves.get(int(change.pk))
    return {*_emails(cell), *(move.left if move is not None else ())}


def _emails(cell: Versioned[rows.Contact] | None) -> tuple[str, ...]:
    return cell.row.named if cell is not None and cell.row is not None else ()


def _same_name(old: Versioned[rows.Contact] | None, new: Versioned[rows.Contact]) -> bool:
    """Whether a contact row has a name, and had the same before."""
    before, now = old.row if old is not None else None, new.row
    if before is None or now is None or not (now.first_name or now.last_name):
        return False
    return (before.first_name, before.last_name) == (now.first_name, now.last_name)


def _move(row: BuyerRow, change: Change, had: tuple[str, ...], has: tuple[str | None, ...], *, unchanged: bool) -> None:
    """Remember what a person left, and for what. Who is back at an address never left it; who is deleted went nowhere."""
    before = row.moves.pop(int(change.pk), None)
    if change.row is None:
        return
    if is_person(change.key):
        # Other addresses of a house contact speak for themselves.
        had = tuple(address for address in had if address == change.key[1:])
    left = (before.left if before is not None else {}) | dict.fromkeys(had, change.position)
    if still := {address: at for address, at in left.items() if address not in has}:
        others = {address for cell in row.contacts.values() if cell.row is not None for address in cell.row.named}
        newly = [address for address in had if address in still and address not in others]
        same = still_same(before, newly, still, unchanged=unchanged)
        row.moves[int(change.pk)] = Move(still, next(iter(has), None), same)


def apply_facts(row: BuyerRow, facts: list[tuple[int, Versioned[OrderFact]]], pages: Pages) -> None:
    """Merge orders and credit notes into the buyer's order tree."""
    row.root = merge(row.root, facts, pages)


def is_person(key: str) -> bool:
    """Whether the buyer is an address on house orders (and not an account)."""
    return key.startswith("e")


def is_without_account(key: str) -> bool:
    """Whether the buyer is a person of whom no account is known (:func:`streams.domain.orders.unknown_key`)."""
    return key.startswith("u")


def addresses(key: str, row: BuyerRow, totals: Totals) -> list[str]:
    """The addresses to which this buyer belongs now, in a stable order."""
    if not is_person(key):
        return account_addresses(row)
    here = (key[1:] in cell.row.emails for cell in row.contacts.values() if cell.row is not None)
    return [key[1:]] if totals.live or any(here) else []


def account_addresses(row: BuyerRow) -> list[str]:
    """The addresses of an account: those of its persons by key, else its own; of a paged account those of whom was read."""
    if not may_be_addressed(row):
        return []
    found = persons_addresses(row)
    return found if found or row.first is not None else list(_own_addresses(row))


def persons_addresses(row: BuyerRow) -> list[str]:
    """The addresses that the persons of an account name, by key; of a paged account those of whom was read."""
    contacts = [cell.row for _, cell in sorted(row.contacts.items()) if cell.row is not None]
    return list(dict.fromkeys(address for contact in contacts for address in contact.emails))


def _own_addresses(row: BuyerRow) -> tuple[str, ...]:
    """Those that the account's own row names; they go with it."""
    return row.customer.row.emails if row.customer is not None and row.customer.row is not None else ()


def first_person(row: BuyerRow) -> tuple[int, str] | None:
    """The first person with an address: contact row and address."""
    here = [(pk, cell.row.emails[0]) for pk, cell in row.contacts.items() if cell.row is not None and cell.row.emails]
    if row.first is not None and row.first[0] not in row.contacts:
        here.append(row.first)
    return min(here, default=None)


def default_address(row: BuyerRow) -> str | None:
    """The first of the account's addresses."""
    if not may_be_addressed(row):
        return None
    first = first_person(row)
    return first[1] if first is not None else next(iter(_own_addresses(row)), None)


def address_of(row: BuyerRow, contact: int) -> str | None:
    """The first address of a person of the account, by contact row; not one that the mapping excludes."""
    cell = row.contacts.get(contact)
    if cell is None or cell.row is None or not may_be_addressed(row):
        return None
    return next(iter(cell.row.emails), None)


def is_frozen(key: str, row: BuyerRow) -> bool:
    """Whether the addresses of a buyer that cannot be worked out show what it was, and not nothing."""
    known = is_person(key) or _customer(row) is not None
    return first_person(row) is not None and (known or bool(unreadable_persons(row)))


def _customer(row: BuyerRow) -> rows.Customer | None:
    """The account's row, or the last one."""
    return (row.customer.row if row.customer is not None else None) or row.last_customer


def is_excluded(row: BuyerRow) -> bool:
    """Whether the mapping excludes the account."""
    customer = _customer(row)
    return customer is not None and customer.excluded


def may_be_addressed(row: BuyerRow) -> bool:
    """Whether the account is here, or was, and is not excluded: otherwise none of its persons has an address either."""
    return _customer(row) is not None and not is_excluded(row)


def held_code(key: str, row: BuyerRow, totals: Totals) -> str | None:
    """Why a buyer's rows wait, if they do: an address is unreadable, or orders and persons are here without their account."""
    if is_excluded(row):
        return None
    if _unreadable(row):
        return "unreadable_address"
    if is_person(key) or (row.customer is not None and row.customer.row is not None):
        return None
    if totals.live:
        return "customer_not_loaded"
    return "contact_without_customer" if any(cell.row is not None for cell in row.contacts.values()) else None


def _unreadable(row: BuyerRow) -> bool:
    """Whether somebody who belongs to the buyer cannot be addressed because nobody can read the address."""
    if unreadable_persons(row):
        return True
    customer = row.customer.row if row.customer is not None else None
    return customer is not None and customer.unreadable and first_person(row) is None


def unreadable_persons(row: BuyerRow) -> list[int]:
    """The contact rows whose address nobody can read."""
    here = [pk for pk, cell in row.contacts.items() if cell.row is not None and cell.row.unreadable]
    return sorted({*here, *(row.unreadable if row.paged else ())} - {pk for pk in row.contacts if pk not in here})


def parts(
    key: str, row: BuyerRow, pages: Pages, only: AbstractSet[str] | None = None
) -> tuple[dict[str, AnyContribution], str | None]:
    """The contribution to every address now, those that were left included; and the code if the buyer is held.

    Remembers these addresses in ``row``. With ``only``, nothing has changed for others than these addresses.
    """
    totals = totals_of(row.root)
    current = addresses(key, row, totals)
    excluded = [address for address in _excluded_addresses(key, row) if address not in current]
    waiting = [] if current or is_person(key) or _customer(row) is not None else persons_addresses(row)
    last = find(row.root, totals.last[1], pages) if totals.last is not None and current else None
    moved, came_from = destinations(row.moves), origins(row.moves, current)
    alone = {address for origin in came_from.values() for address, _ in origin}
    people, excluded_opted, answers = _people(row), _excluded_opted(row), answers_by_address(row.contacts)
    published: dict[str, AnyContribution] = {}
    for address in _among(current, only):
        part = _part(row, people.get(address, []), totals, last, moved.get(address, []))
        # An exclusion holds back no opt-out, and no more than that counts of it.
        out = False in excluded_opted.get(address, ())
        if out or address in came_from or address in answers:
            opted, former = False if out else part.opted, came_from.get(address, ())
            part = msgspec.structs.replace(part, opted=opted, came_from=former, answers=answers.get(address, ()))
        published[address] = part
        row.published_addresses[address] = None
    for address in _among(waiting, only):
        opted = strictest({person.opted for person in people[address]})
        unreadable = any(person.unreadable for person in people[address])
        published[address] = ContributionHeld(opted, answers.get(address, ()), unreadable, *name_of(people[address]))
        row.published_addresses[address] = None
    for address in _among(excluded, only):
        said = {person.opted for person in people.get(address, ())} | excluded_opted.get(address, set())
        moved_to, left_at = departed(moved.get(address, []))
        published[address] = ContributionExcluded(strictest(said), moved_to, left_at, answers.get(address, ()))
        row.published_addresses[address] = None
    # Where something was ever published it must be withdrawn: otherwise that contact would keep this buyer's orders for ever.
    gone = {**row.published_addresses, **moved}.keys() - {*current, *waiting, *excluded}
    for address in _among(sorted(gone), only):
        if address not in published:
            went, known = moved.get(address, []), row.published_addresses.get(address)
            left = published[address] = address_left(went, known, same_person=address in alone)
            row.published_addresses[address] = left.moved_to
    return published, held_code(key, row, totals)


def _among(found: list[str], only: AbstractSet[str] | None) -> list[str]:
    return found if only is None else [address for address in found if address in only]


def _excluded_addresses(key: str, row: BuyerRow) -> list[str]:
    """Addresses of persons that have no contact because the mapping excludes them, or the whole account."""
    people = (cell.row for _, cell in sorted(row.contacts.items()) if cell.row is not None)
    every = is_excluded(row)
    found = dict.fromkeys(address for person in people for address in (person.named if every else person.excluded))
    return [address for address in found if not is_person(key) or address == key[1:]]


def _excluded_opted(row: BuyerRow) -> dict[str, set[bool | None]]:
    """The consent of those whose address is excluded."""
    found: dict[str, set[bool | None]] = {}
    for cell in row.contacts.values():
        if cell.row is not None:
            for address in cell.row.excluded:
                found.setdefault(address, set()).add(cell.row.opted)
    return found


def _people(row: BuyerRow) -> dict[str, list[rows.Contact]]:
    """The persons of every address, by key."""
    found: dict[str, list[rows.Contact]] = {}
    for _, cell in sorted(row.contacts.items()):
        if cell.row is not None:
            for address in cell.row.emails:
                found.setdefault(address, []).append(cell.row)
    return found


def _part(
    row: BuyerRow, persons: list[rows.Contact], totals: Totals, last: OrderFact | None, departures: list[tuple[bytes, str]]
) -> BuyerContribution:
    first_name, last_name = name_of(persons)
    answers = {person.opted for person in persons}
    customer = _customer(row)
    moved_to, left_at = departed(departures)
    return BuyerContribution(
        first_name=first_name,
        last_name=last_name,
        account=customer.account if customer else None,
        trade=customer.trade if customer else False,
        opted=strictest(answers),
        totals=totals,
        last_number=last.number if last else None,
        last_status=last.status if last else None,
        last_skus=last.skus if last else None,
        moved_to=moved_to,
        left_at=left_at,
        person=bool(persons),
        unreadable=any(person.unreadable for person in persons)
        or (not persons and customer is not None and customer.unreadable),
    )


def name_of(found: Sequence[Named]) -> tuple[str | None, str | None]:
    """First and last name of the first that has any; what it lacks is :data:`ERASED` if an erasure took a name from one."""
    named = next((one for one in found if one.first_name or one.last_name), None)
    first, last = (None, None) if named is None else (named.first_name, named.last_name)
    if any(ERASED in (one.first_name, one.last_name) for one in found):
        return first or ERASED, last or ERASED
    return first, last


def strictest(answers: set[bool | None]) -> bool | None:
    """The consent that follows from several: out (False) beats in (True) beats unknown (None)."""
    if False in answers:
        return False
    return True if True in answers else None
