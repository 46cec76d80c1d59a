"""Variants as orders need them, kept in every partition, and the index of the orders that name them.

An index row per (variant, order), all key, lets a variant that is renamed find its orders without reading them all.
"""

from collections.abc import Iterable, Iterator

import msgspec

from streams.domain.catalogue import Effect, written
from streams.domain.versioned import Versioned
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.changes import Change, VariantInfo


class ItemRow(msgspec.Struct, array_like=True, gc=False):
    """One variant; ``cell`` is empty if no change of it ever came."""

    cell: Versioned[VariantInfo] | None = None


class Items:
    """The items of one partition's orders table."""

    def __init__(self) -> None:
        self._rows = Codec("i", ItemRow)

    def apply(self, unit: UnitOfWork, change: Change) -> Effect:
        """Write one variant."""
        cell, effect = written(self._rows.load(unit, str(change.pk)).cell, change)
        if effect is not Effect.STALE:
            self._rows.save(unit, str(change.pk), ItemRow(cell))
        return effect

    def known(self, unit: UnitOfWork, variants: Iterable[int], seen: dict[int, VariantInfo | None]) -> dict[int, VariantInfo]:
        """What is known of ``variants``, by id; ``seen`` are those that the unit has looked up already."""
        found: dict[int, VariantInfo] = {}
        for variant in variants:
            if variant not in seen:
                cell = self._rows.load(unit, str(variant)).cell
                seen[variant] = None if cell is None else cell.row
            if (item := seen[variant]) is not None:
                found[variant] = item
        return found

    def index(self, unit: UnitOfWork, order: int, before: set[int], after: set[int]) -> None:
        """Remember the variants of an order.

        To be called before the order's row is written: the changelog may end between the two in a crash, and the order is
        compared with what its row says.
        """
        for variant in before ^ after:
            unit.put(f"{_prefix(variant)}{order}".encode(), b"" if variant in after else None)

    def orders(self, unit: UnitOfWork, variant: int, after: str = "") -> Iterator[str]:
        """The orders that named ``variant`` when the unit began, as text and in the order of text; those behind ``after``."""
        prefix = _prefix(variant)
        for key, _ in unit.scan(prefix.encode(), f"{prefix}{after}".encode()):
            yield key.rpartition(b"\0")[2].decode()


def _prefix(variant: int) -> str:
    return f"v{variant}\0"
