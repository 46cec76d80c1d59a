"""Which version of an order's rows counts: the newest that can be worked out (``docs/contact-rules.md``, Frozen orders).

Of each row, whatever the order across tables: so rows may arrive in any order, and one answer follows.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from streams.capture import rows
from streams.domain.versioned import Versioned
from streams.mapping import Mapping
from streams.messages.frozen_orders import NOTHING, FrozenOrder

T = TypeVar("T")

_MOST_HEADERS = 8
"""Former headers that are kept while the newest cannot be worked out: two a status, and few statuses are unknown at a time."""


class LastWorkable(msgspec.Struct, array_like=True, gc=False):
    """Versions of an order's rows that may stand in for newer ones which cannot be worked out.

    ``headers``: former ones, the newest of each status with and without a house account, newest first; ``since``: where the
    newest header got its status, if an older version of it had that already; details and totals by key, of rows whose newest
    version cannot. ``unpriced``: details whose currency is unknown since they came, so that what was published before they did
    was never true.
    """

    headers: list[Versioned[rows.Header]] = []
    since: bytes | None = None
    details: dict[int, rows.Detail] = {}
    totals: dict[int, rows.Total] = {}
    unpriced: list[int] = []


class KeptFacts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an order's rows cannot say any more, kept where a rebuild finds it.

    ``published``: digest of what topic ``frozen-orders`` said of the order when it was read last. ``own``: worked out by this
    state; otherwise it was read.
    """

    facts: FrozenOrder = NOTHING
    published: bytes = b""
    own: bool = False


def keep_header(last: LastWorkable, old: Versioned[rows.Header] | None, new: Versioned[rows.Header], mapping: Mapping) -> None:
    """Of each status the newest header: whether its status is known may only be learned later.

    So may whether a house order says whose it is; until then one of an account stands in for it.
    """
    if old is None or old.row is None or new.row is None:
        last.since = None
        return
    before, since = old.row, last.since or old.position
    if new.position != old.position or new.row.status != before.status:
        last.since = since if new.row.status == before.status else None
    same = _says(before) == _says(new.row)
    if not same and mapping.order.types.kind(before.type) is not None and before.customer is not None and before.dated:
        house = before.customer in mapping.house_accounts
        others = [
            former
            for former in last.headers
            if former.row is not None
            and (former.row.status != before.status or (former.row.customer in mapping.house_accounts) != house)
        ]
        last.headers = [Versioned(since, before), *others][:_MOST_HEADERS]


def _says(header: rows.Header) -> tuple[object, ...]:
    return header.type, header.status, header.customer, header.excluded, header.dated


def keep(last: dict[int, T], key: int, old: Versioned[T] | None, new: Versioned[T], usable: Callable[[T], bool]) -> None:
    """Remember the version before one that cannot be used, until there is one that can."""
    if new.row is not None and usable(new.row):
        last.pop(key, None)
    elif old is not None and old.row is not None and usable(old.row):
        last[key] = old.row


def note_unpriced(last: LastWorkable, key: int, *, came: bool, priced: bool) -> None:
    """A detail that ``came`` just now, or changed; ``priced``: its currency is known."""
    if priced or came:
        others = [other for other in last.unpriced if other != key]
        last.unpriced = others if priced else sorted([*others, key])


def with_number(old: Versioned[rows.Header] | None, new: Versioned[rows.Header]) -> Versioned[rows.Header]:
    """An order goes on under its last number when that is emptied."""
    if new.row is None or new.row.number is not None or old is None or old.row is None or old.row.number is None:
        return new
    return Versioned(new.position, msgspec.structs.replace(new.row, number=old.row.number, unnumbered=True))


def with_readable_address(old: Versioned[rows.Detail] | None, new: Versioned[rows.Detail]) -> Versioned[rows.Detail]:
    """An address that cannot be read is not one that was emptied: the one before stays, or that there was none."""
    if new.row is None or not new.row.unreadable or old is None or old.row is None:
        return new
    before = old.row
    emptied = before.emptied if before.unreadable else before.email is None and not before.excluded
    kept = msgspec.structs.replace(new.row, email=before.email, emptied=emptied, excluded=before.excluded)
    return Versioned(new.position, kept)


def lowest(cells: dict[int, Versioned[T]]) -> T | None:
    """The row that counts, in its newest version: the one with the lowest key."""
    live = [key for key, cell in cells.items() if cell.row is not None]
    return cells[min(live)].row if live else None


def workable(cells: dict[int, Versioned[T]], last: dict[int, T]) -> T | None:
    """The row that counts, in its last workable version; of deleted ones that of the lowest key."""
    if not cells:
        return last[min(last)] if last else None
    if live := [key for key, cell in cells.items() if cell.row is not None]:
        return last.get(min(live)) or cells[min(live)].row
    return last[min(last)] if last else None
