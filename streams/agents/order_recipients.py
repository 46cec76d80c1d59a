"""The orders that have asked whom they belong to, and which get a new reply when addresses change.

An index row per order, under its buyer and its group (:func:`streams.domain.recipients.group_of`): a new address finds the
orders that have it on them without reading the others, and no order ever learns of more than its own recipient. An order with
an address that is not the account's has a second row, under the person who placed it. Contacts keep the same index of the
orders that have their address on them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.agents.sweeps import Slice
from streams.core.lanes import lane_for_fanout
from streams.domain.recipients import group_of, group_of_person
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import RecipientsReply, RecipientsSweep
from streams.messages.kinds import (
    RecipientsQueryChange,
    RecipientsReplyChange,
    RecipientsSweepChange,
)
from streams.messages.topics import Topics

PREFIX = "q"
_WITHOUT_ADDRESS = group_of(None)
_STRANGER = ""
"""Stands for an address that is none of the account's."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, or a contact, as orders see it.

    Attributes:
        key: the buyer, or the contact's address.
        addresses: those of its addresses that matter to what is to be answered.
        default: the recipient of orders without an address of their own.
        position: the version of all that.
        address_of: the address of the person of a contact row.
        excluded: the mapping excludes it: its orders are nobody's, whatever address is on them.
    """

    key: str
    addresses: Sequence[str]
    default: str | None
    position: bytes
    address_of: Callable[[int], str | None] = lambda _: None
    excluded: bool = False


class _Asked(NamedTuple):
    """An order, and what it asked with."""

    order: str
    group: str
    contact: int | None


def concerned(changed: Iterable[str], persons: Iterable[int], *, default: bool) -> Iterator[RecipientsSweep]:
    """The orders to which it makes a difference that addresses came or went, or ``persons`` have others, or the ``default``."""
    groups = {*map(group_of, changed), *map(group_of_person, persons), *([_WITHOUT_ADDRESS] if default else ())}
    if groups:
        yield RecipientsSweep(tuple(sorted(groups)))


class OrderRecipients:
    """Answers orders; ``emit_rest`` emits what is left of a sweep, to the stage itself."""

    def __init__(self, topics: Topics, emit_rest: Callable[[UnitOfWork, RecipientsSweepChange], None]) -> None:
        self._orders = topics.orders
        self._emit_rest = emit_rest

    def answer(self, unit: UnitOfWork, account: Account, query: RecipientsQueryChange) -> None:
        """Answer one order, and remember that it has asked, and with which address and person."""
        group, contact = group_of(query.row.own), query.row.contact
        unit.put(_index_key(account, group, query.pk), b"" if contact is None else str(contact).encode())
        self._reply(unit, account, _Asked(str(query.pk), group, contact), query.row.own, (query.lane, query.caused_at))

    def sweep(self, unit: UnitOfWork, account: Account, sweep: RecipientsSweepChange) -> None:
        """Answer as many of the orders that ``sweep`` concerns as one unit may; what is left comes again."""
        row, members = sweep.row, {group_of(address): address for address in account.addresses}
        found = list[_Asked]()
        slice_, last, left = Slice(), row.after, False
        for name, value in _index_rows(unit, account, row):
            if slice_.look <= 0:
                left = True
                break
            last = name
            slice_.look -= 1
            found.append(_asked(name, value))
        reached = row.reached + len(found)
        lane = lane_for_fanout(sweep.lane, reached)
        for asked in found:
            own = members.get(asked.group, None if asked.group == _WITHOUT_ADDRESS else _STRANGER)
            self._reply(unit, account, asked, own, (lane, sweep.caused_at))
        if left:
            rest = RecipientsSweep(row.groups, last, reached)
            self._emit_rest(unit, RecipientsSweepChange(account.key, 0, b"", sweep.lane, sweep.caused_at, rest))

    def _reply(self, unit: UnitOfWork, account: Account, asked: _Asked, own: str | None, cause: tuple[int, int]) -> None:
        """``own``: the address on the order, if the account has it; None if there is none on it."""
        stranger, address = False, account.default
        if own in account.addresses:
            address = own
        elif own is not None and not account.excluded:
            stranger, address = True, None if asked.contact is None else account.address_of(asked.contact)
        if asked.contact is not None:
            # Only of these does it matter which address the person has. All others' need not be known for that.
            of_person = _index_key(account, group_of_person(asked.contact), asked.order)
            unit.put(of_person, asked.group.encode() if stranger else None)
        reply = RecipientsReply(asked.group, address, asked.contact, stranger)
        unit.emit(self._orders, RecipientsReplyChange(asked.order, account.key, account.position, *cause, reply))


def forget(unit: UnitOfWork, key: str) -> None:
    """Drop the index of an account, or of a contact."""
    for name, _ in unit.scan(f"{PREFIX}{key}\0".encode()):
        unit.put(name, None)


def _index_key(account: Account, group: str, order: object) -> bytes:
    return f"{PREFIX}{account.key}\0{group}\0{order}".encode()


def _index_rows(unit: UnitOfWork, account: Account, row: RecipientsSweep) -> Iterator[tuple[str, str]]:
    """Group and order of the index rows that the sweep concerns, behind those that it has reached, with their values."""
    # An address may have letters of more than one byte.
    prefix = f"{PREFIX}{account.key}\0".encode()
    for part in row.groups or ("",):
        start = prefix + f"{part}\0".encode() if row.groups else prefix
        for key, value in unit.scan(start, prefix + row.after.encode()):
            name = key[len(prefix) :].decode()
            # An earlier group of this sweep may have found that the address is the account's by now.
            if not name.startswith("p") or (row.groups and unit.get(key) is not None):
                yield name, value.decode()


def _asked(name: str, value: str) -> _Asked:
    group, _, order = name.partition("\0")
    if group.startswith("p"):
        return _Asked(order, value, int(group[1:]))
    return _Asked(order, group, int(value) if value else None)
