"""Variants as orders need them, kept in every partition, and the index of the orders that name them.

An index row per (variant, order), all key, lets a variant that is renamed or deleted find its orders without reading them all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from streams.domain.catalogue import Effect, written
from streams.domain.frozen_facts import bought
from streams.domain.orders import OrderRow, variants
from streams.domain.versioned import Versioned
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.changes import Change, VariantInfo

_MOST_NAMINGS = 32
"""SKUs and names that one variant had which are remembered; orders of a later one show the newest."""


class ItemRow(msgspec.Struct, array_like=True, gc=False):
    """One variant; ``cell`` is empty if no change of it ever came. ``former``: what it was called before, oldest first."""

    cell: Versioned[VariantInfo] | None = None
    former: list[tuple[str | None, str | None]] = []


@dataclass(frozen=True, slots=True)
class Item:
    """One variant as orders find it: what it is called now, and what it was called before, oldest first."""

    newest: VariantInfo
    former: list[tuple[str | None, str | None]]

    def bought(self, naming: int) -> VariantInfo:
        """What an order shows that came when the variant had that many former names; a SKU or name that it lacked is filled."""
        if naming >= len(self.former):
            return self.newest
        namings = [*self.former[naming:], (self.newest.sku, self.newest.name)]
        sku, name = (next((naming[part] for naming in namings if naming[part] is not None), None) for part in (0, 1))
        return msgspec.structs.replace(self.newest, sku=sku, name=name)


@dataclass(frozen=True, slots=True)
class ShownItems:
    """What an order shows of its variants, by id; ``unsaid``: those of which their newest rows do not say it."""

    shown: dict[int, VariantInfo]
    unsaid: dict[int, VariantInfo]


class Items:
    """The items of one partition's orders table."""

    def __init__(self) -> None:
        self._rows = Codec("i", ItemRow)

    def apply(self, unit: UnitOfWork, change: Change) -> Effect:
        """Write one variant; of a SKU or name that becomes another the one before is kept for the orders that had it."""
        stored = self._rows.load(unit, str(change.pk))
        cell, effect = written(stored.cell, change)
        if effect is not Effect.STALE:
            before = None if stored.cell is None else stored.cell.row
            renamed = before is not None and cell.row is not None and _is_renamed(before, cell.row)
            former = [*stored.former, (before.sku, before.name)] if renamed and before is not None else stored.former
            self._rows.save(unit, str(change.pk), ItemRow(cell, former[:_MOST_NAMINGS]))
        return effect

    def of_order(self, unit: UnitOfWork, row: OrderRow, before: set[int] | None, seen: dict[int, Item | None]) -> ShownItems:
        """What an order shows of the variants of its lines.

        Remembers in ``row`` what those are called that came with this unit; ``before``: those that it named until then, if a
        line changed. ``seen`` are variants that the unit has looked up already.
        """
        here = variants(row)
        known = self._known(unit, here, seen)
        if before is not None:
            _note_namings(row, before, here, known)
        shown, unsaid = dict[int, VariantInfo](), dict[int, VariantInfo]()
        for variant in here:
            item = known.get(variant)
            if row.kept is None and (item is None or not item.former):
                found = None if item is None else item.newest
            else:
                found = bought(row, variant, None if item is None else item.bought(row.bought.get(variant, 0)))
            if found is None:
                continue
            shown[variant] = found
            if item is None or item.newest.gone or (found.sku, found.name) != (item.newest.sku, item.newest.name):
                unsaid[variant] = found
        return ShownItems(shown, unsaid)

    def _known(self, unit: UnitOfWork, variants: Iterable[int], seen: dict[int, Item | None]) -> dict[int, Item]:
        found: dict[int, Item] = {}
        for variant in variants:
            if variant not in seen:
                row = self._rows.load(unit, str(variant))
                seen[variant] = None if row.cell is None or row.cell.row is None else Item(row.cell.row, row.former)
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


def _note_namings(row: OrderRow, before: set[int], here: set[int], known: dict[int, Item]) -> None:
    """Remember what variants were called that a line names from now on."""
    # One that goes may come back: an ERP edits an order by deleting its lines and inserting them anew.
    for variant in before - here:
        row.bought.setdefault(variant, 0)
    for variant in here - before:
        if variant in known and known[variant].former:
            row.bought.setdefault(variant, len(known[variant].former))


def _is_renamed(before: VariantInfo, now: VariantInfo) -> bool:
    """Whether orders that had it must remember what it was called; a SKU or name that comes late is no other one."""
    pairs = ((before.sku, now.sku), (before.name, now.name))
    return any(old is not None and new is not None and old != new for old, new in pairs)


def _prefix(variant: int) -> str:
    return f"v{variant}\0"
