"""The orders of accounts that have asked whom they belong to, and which get a new reply when its addresses change.

An index row per order, all key, under its buyer and its group (:func:`streams.domain.recipients.group_of`): a new address finds
the orders that have it on them without reading the others, and no order ever learns of more than its own recipient.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from streams.agents.sweeps import Slice
from streams.core.lanes import lane_for_fanout
from streams.domain.recipients import group_of
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import RecipientsReply, RecipientsSweep
from streams.messages.kinds import RecipientsQueryChange, RecipientsReplyChange, RecipientsSweepChange
from streams.messages.topics import Topics

PREFIX = "q"


@dataclass(frozen=True, slots=True)
class Account:
    """An account as its orders see it.

    Attributes:
        key: the buyer.
        addresses: those of its addresses that matter to what is to be answered.
        default: the recipient of orders whose own address is not the account's.
        position: the version of all that.
    """

    key: str
    addresses: Sequence[str]
    default: str | None
    position: bytes


def concerned(changed: Iterable[str], *, default: bool) -> Iterator[RecipientsSweep]:
    """The orders to which it makes a difference that addresses came or went, and whether the ``default`` is another."""
    if groups := tuple(sorted(map(group_of, changed))):
        yield RecipientsSweep(groups)
    if default:
        yield RecipientsSweep((), strangers=True)


class OrderRecipients:
    """Answers orders."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def answer(self, unit: UnitOfWork, account: Account, query: RecipientsQueryChange) -> None:
        """Answer one order, and remember that it has asked, and with which address."""
        own, group = query.row.own, group_of(query.row.own)
        unit.put(f"{PREFIX}{account.key}\0{group}\0{query.pk}".encode(), b"")
        address = own if own in account.addresses else account.default
        self._reply(unit, account, str(query.pk), RecipientsReply(group, address), (query.lane, query.caused_at))

    def sweep(self, unit: UnitOfWork, account: Account, sweep: RecipientsSweepChange) -> None:
        """Answer as many of the orders that ``sweep`` concerns as one unit may; what is left comes again."""
        row, members = sweep.row, {group_of(address): address for address in account.addresses}
        prefix, found = f"{PREFIX}{account.key}\0", list[tuple[str, str]]()
        slice_, last, left = Slice(), row.after, False
        for name in _names(unit, prefix, row):
            if slice_.look <= 0:
                left = True
                break
            last = name
            slice_.look -= 1
            group, _, order = name.partition("\0")
            if not (row.strangers and group in members):
                found.append((group, order))
        reached = row.reached + len(found)
        lane = lane_for_fanout(sweep.lane, reached)
        for group, order in found:
            reply = RecipientsReply(group, members.get(group, account.default))
            self._reply(unit, account, order, reply, (lane, sweep.caused_at))
        if left:
            rest = RecipientsSweep(row.groups, last, reached, row.strangers)
            unit.emit(self._topics.buyers, RecipientsSweepChange(account.key, 0, b"", sweep.lane, sweep.caused_at, rest))

    def _reply(self, unit: UnitOfWork, account: Account, order: str, reply: RecipientsReply, cause: tuple[int, int]) -> None:
        unit.emit(self._topics.orders, RecipientsReplyChange(order, account.key, account.position, *cause, reply))


def _names(unit: UnitOfWork, prefix: str, row: RecipientsSweep) -> Iterator[str]:
    """Group and order of the index rows that the sweep concerns, behind those that it has reached."""
    for part in row.groups or ("",):
        start = f"{prefix}{part}\0" if row.groups else prefix
        for key, _ in unit.scan(start.encode(), f"{prefix}{row.after}".encode()):
            yield key[len(prefix) :].decode()
