"""Which facts of an order its rows cannot say any more (``docs/contact-rules.md``, Frozen orders).

A state keeps the last workable versions of an order's rows, but a rebuild reads only the newest ones. So what those cannot say
is kept apart, from the moment when they cannot: orders whose rows say everything cost nothing.
"""

from collections.abc import Callable
from collections.abc import Mapping as ReadOnly
from decimal import Decimal
from hashlib import blake2b
from typing import TypeAlias

from msgspec.structs import replace

from streams.domain.last_workable import KeptFacts
from streams.domain.orders import Live, OrderRow
from streams.messages.changes import VariantInfo
from streams.messages.frozen_orders import NOTHING, BoughtItem, FrozenHeader, FrozenOrder, write_frozen

StandIns: TypeAlias = Callable[[], tuple[FrozenHeader | None, Decimal | None, int | None]]
"""Header, net and currency with which a frozen order counts."""


def bought(row: OrderRow, variant: int, named: VariantInfo | None) -> VariantInfo | None:
    """What the order shows of a variant: what was kept of it; otherwise what it was ``named``."""
    kept = row.kept_facts.items.get(variant)
    if kept is None:
        return named
    known = named or VariantInfo(kept.product, None, None)
    return VariantInfo(known.product, kept.sku or known.sku, kept.name or known.name)


def unsayable(row: OrderRow, live: Live, stood_in: StandIns, items: ReadOnly[int, VariantInfo]) -> FrozenOrder:
    """What a live order shows that its rows, as they are now, do not say.

    Args:
        row: everything known about the order.
        live: what it is worth.
        stood_in: looks up what stands in for its rows, if it is frozen.
        items: what it shows of variants whose newest rows do not say it.
    """
    # Also of lines that are not here: they may still come, while a state is rebuilt or when the ERP writes the order anew.
    found = {variant: BoughtItem(item.sku, item.name, item.product) for variant, item in items.items()} | row.kept_facts.items
    found = dict(sorted(found.items()))
    owners = {line: order for line, order in sorted(row.owners.items()) if live.fact.credit and not _is_there(row, line)}
    if live.frozen is None or row.held is None:
        return FrozenOrder(items=found, owners=owners) if found or owners else NOTHING
    header, net, currency = stood_in()
    return FrozenOrder(
        since=row.held.since, header=header, net=net, currency=currency, items=found, owners=owners, position=_position(row)
    )


def _position(row: OrderRow) -> bytes:
    """Of the newest header that is here."""
    return b"" if row.header is None else row.header.position


def _is_there(row: OrderRow, line: int) -> bool:
    reply = row.line_replies.get(line)
    return reply is not None and reply.row is True


def settle(row: OrderRow, found: FrozenOrder) -> None:
    """Write what the order's rows cannot say into ``row``."""
    if row.kept is not None and not row.kept.own and _position(row) < row.kept.facts.position:
        # A version from before the order froze, which a rebuild reads first; the one that was there then comes yet.
        return
    if found != row.kept_facts:
        row.kept = KeptFacts(found, row.kept.published if row.kept is not None else b"", own=True)


def receive(row: OrderRow, facts: FrozenOrder) -> bool:
    """Write into ``row`` what the topic says; whether the order must be worked out with it.

    Facts of this state's own stay: they are newer than those of another one, or than what this one said before. But the first
    that it reads of an order may come behind rows from which it has worked out some of its own: they are joined.
    """
    published = digest_of(facts)
    for line, order in facts.owners.items():
        row.owners.setdefault(line, order)
    if row.kept is not None and row.kept.own and not row.kept.published and facts not in (NOTHING, row.kept.facts):
        row.kept = KeptFacts(_joined(row.kept.facts, facts), published, own=False)
        return True
    if row.kept is not None and row.kept.own:
        row.kept = KeptFacts(row.kept.facts, published, own=True)
        _forget_nothing(row)
        return is_unpublished(row)
    changed = facts != row.kept_facts
    row.kept = KeptFacts(facts, published, own=False)
    _forget_nothing(row)
    return changed


def _joined(own: FrozenOrder, read: FrozenOrder) -> FrozenOrder:
    """The facts that were read know more versions of the rows; unless this state has seen a newer header."""
    base = own if own.since is not None and own.position > read.position else read
    return replace(base, items=dict(sorted((own.items | read.items).items())), owners=own.owners | read.owners)


def is_unpublished(row: OrderRow) -> bool:
    """Whether the topic says something else of the order than this state."""
    return row.kept is not None and digest_of(row.kept.facts) != row.kept.published


def _forget_nothing(row: OrderRow) -> None:
    if row.kept is not None and row.kept.facts == NOTHING and not row.kept.published:
        row.kept = None


def digest_of(facts: FrozenOrder) -> bytes:
    """Identifies what is said; empty for nothing."""
    return b"" if facts == NOTHING else blake2b(write_frozen(facts), digest_size=8).digest()
