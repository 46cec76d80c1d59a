"""Which order lines exist, and which credit notes wait to know: the index that joins a credit note to what it credits.

A credit note names the lines that it gives back, not their order, so neither the order's nor the buyer's key can find
them. Lines are indexed under a key of their own, in blocks of neighbouring ids, because the lines of one order are born
together.
"""

import msgspec

from streams.core.errors import TooLargeError
from streams.domain.versioned import Versioned, is_not_older
from streams.messages.changes import Change, LineOwnership, LineQuery, LineReply

BLOCK = 32

MOST_CREDITS = 1_000
"""Credit notes that may give back one line: each is answered whenever the line changes. More name a placeholder."""


class LineBlock(msgspec.Struct, array_like=True, gc=False):
    """``owners``: line to the orders that have or had it; ``asks``: line to the credit notes that want to know."""

    owners: dict[int, dict[int, Versioned[bool]]] = {}
    asks: dict[int, list[int]] = {}
    version: int = 0


def block_key(line: int) -> str:
    """The key of the block that holds ``line``."""
    return f"l{line // BLOCK}"


def owner(block: LineBlock, line: int) -> int | None:
    """The order that has the line now. A line that moves is, for a moment, owned by both (the lower counts) or by neither."""
    return min((order for order, cell in block.owners.get(line, {}).items() if cell.row), default=None)


def former_owner(block: LineBlock, line: int) -> int | None:
    """The order that had the line last, when none has it any more: what was given back of it stays given back."""
    owners = block.owners.get(line, {})
    return max(owners, key=lambda order: (owners[order].position, order), default=None)


def apply(block: LineBlock, change: Change) -> list[tuple[int, LineReply]]:
    """Write one owner or one question into the block; the answers that must now be given, as (credit note, answer).

    Raises:
        TooLargeError: ``line_credited_too_often``; the credit note that asks stays without an answer, and is held.
    """
    line = int(change.pk)
    if isinstance(change.row, LineOwnership):
        owners = block.owners.setdefault(line, {})
        if not is_not_older(owners.get(change.row.order), change.position):
            return []
        owners[change.row.order] = Versioned(change.position, change.row.live)
        asking = block.asks.get(line, [])
    elif isinstance(change.row, LineQuery):
        asks = block.asks.setdefault(line, [])
        if change.row.credit not in asks:
            if len(asks) >= MOST_CREDITS:
                raise TooLargeError("line_credited_too_often", f"more than {MOST_CREDITS:,} credit notes give one line back")
            asks.append(change.row.credit)
        asking = [change.row.credit]
    else:
        raise TypeError(f"a line block takes owners and questions, not {change.kind.name}")
    found = owner(block, line)
    answer = LineReply(line, found is not None, found if found is not None else former_owner(block, line))
    return [(credit, answer) for credit in asking]
