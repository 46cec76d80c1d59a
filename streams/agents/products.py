"""Products agent: variants with prices, stock and categories in, catalogue records and the orders' items out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from streams.agents.barrier_rounds import BarrierRounds
from streams.agents.change_tally import ChangeTally
from streams.agents.emitter import unpack_records
from streams.agents.held import HeldIndex
from streams.agents.sweeps import Slice, Sweeps, one_by_one
from streams.capture import rows
from streams.core.lanes import Lane
from streams.domain import catalogue
from streams.domain.catalogue import Effect, VariantRow
from streams.domain.versioned import Versioned, next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, Change, ChangeKind, DesiredRecord
from streams.messages.kinds import DesiredCatalogueChange, SweepChange, VariantInfoChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

T = TypeVar("T")

_NAMING = (ChangeKind.VARIANT, ChangeKind.MEMBERSHIP)
"""Rows that name a product or a category."""


class ParentRow(msgspec.Struct, Generic[T], array_like=True, gc=False):
    """A product or a category, kept in every partition; ``last``: what it was before it was deleted, or lost its name."""

    cell: Versioned[T] | None = None
    last: T | None = None


@dataclass(slots=True)
class _Touched:
    """A variant in work: whether it was ``written``, and with ``record`` and ``item`` who must hear of it."""

    row: VariantRow
    lane: int
    caused_at: int
    written: bool = False
    record: bool = False
    item: bool = False

    def cause(self, lane: int, caused_at: int) -> None:
        self.lane = min(self.lane, lane)
        self.caused_at = min(self.caused_at, caused_at)
        self.written = True


class ProductsHandler:
    """Joins what is known of a variant, and finds the variants of a product or category that changes."""

    name = "products"

    def __init__(self, mapping: Mapping, topics: Topics, metrics: Metrics) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._variants = Codec("v", VariantRow)
        self._products = Codec("p", ParentRow[rows.Product])
        self._categories = Codec("c", ParentRow[rows.Category])
        self.held = HeldIndex()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read what is held."""
        self.held.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self.held.clear()

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold every change of ``records``, then project each variant of which somebody must hear once."""
        touched: dict[int, _Touched] = {}
        tally = ChangeTally(self._metrics, self.name)
        sweeps, rounds = Sweeps(), BarrierRounds(unit, self.name, self._topics)
        for change in rounds.taken_from(unpack_records(self._topics.products, records)):
            tally.count(change, applied=self._apply(unit, change, touched, sweeps) is not Effect.STALE)
        self._sweep(unit, sweeps, touched)
        for variant, item in touched.items():
            if item.record or item.item:
                self._project(unit, variant, item)
            if item.written:
                self._variants.save(unit, str(variant), item.row)
                self.held.persist(unit, str(variant), item.row.held)
        rounds.pass_on()
        return tally.show()

    def _apply(self, unit: UnitOfWork, change: Change, touched: dict[int, _Touched], sweeps: Sweeps) -> Effect:
        if isinstance(change, SweepChange):
            sweeps.open.append(change)
            return Effect.CHANGED
        if change.kind is ChangeKind.PRODUCT:
            return self._parent(unit, change, self._products, sweeps)
        if change.kind is ChangeKind.CATEGORY:
            return self._parent(unit, change, self._categories, sweeps)
        item = self._load(unit, int(change.key), touched)
        if change.kind is ChangeKind.RESEND_REQUEST:
            item.record = True
            item.cause(change.lane, change.caused_at)
            return Effect.CHANGED
        return self._variant(unit, change, item)

    def _load(self, unit: UnitOfWork, variant: int, touched: dict[int, _Touched]) -> _Touched:
        if variant not in touched:
            touched[variant] = _Touched(self._variants.load(unit, str(variant)), Lane.BULK, unit.now_ms)
        return touched[variant]

    def _variant(self, unit: UnitOfWork, change: Change, item: _Touched) -> Effect:
        before = catalogue.parents(item.row)
        effect = catalogue.apply(item.row, change, self._mapping.order.default_currency)
        item.written |= effect is not Effect.STALE
        if effect is not Effect.CHANGED:
            return effect
        if change.kind in _NAMING:
            # Before the variant itself, so that a crash between them leaves no pair that nobody remembers.
            after = catalogue.parents(item.row)
            for parent in before | after:
                unit.put(_pair(*parent, change.key), b"" if parent in after else None)
        item.cause(change.lane, change.caused_at)
        # Prices and stock of a variant that is not there yet concern nobody: they wait for it.
        item.record |= item.row.variant is not None
        item.item |= change.kind is ChangeKind.VARIANT
        return effect

    def _parent(self, unit: UnitOfWork, change: Change, parents: Codec[ParentRow[Any]], sweeps: Sweeps) -> Effect:
        stored = parents.load(unit, str(change.pk))
        old = stored.cell
        new, effect = catalogue.written(old, change)
        if effect is Effect.STALE:
            return effect
        parents.save(unit, str(change.pk), ParentRow(new, _last(stored, new)))
        if effect is Effect.CHANGED:
            # A name that its variants waited for is as pressing as they are; another name for what is there is not.
            renamed = old is not None and old.row is not None and old.position != new.position
            sweeps.begin(change, Lane.BULK if renamed else change.lane)
        return effect

    def _sweep(self, unit: UnitOfWork, sweeps: Sweeps, touched: dict[int, _Touched]) -> None:
        """Reach some of the variants that products and categories concern; what is left comes again."""
        slice_ = Slice()
        for sweep in sweeps.open:
            self._sweep_parents(unit, sweep, slice_, touched)

    def _sweep_parents(self, unit: UnitOfWork, sweep: SweepChange, slice_: Slice, touched: dict[int, _Touched]) -> None:
        kind = ChangeKind(int(sweep.pk))

        def reach(variant: str, _reached: int) -> None:
            item = self._load(unit, int(variant), touched)
            item.record = True
            item.cause(sweep.lane, sweep.caused_at)

        left = one_by_one(sweep, slice_, lambda parent, after: _variants_of(unit, kind, parent, after), reach)
        if left is not None:
            sweep.row = left
            unit.emit_here(self._topics.products, sweep)

    def _project(self, unit: UnitOfWork, variant: int, item: _Touched) -> None:
        row = item.row
        row.version = next_version(row.version, unit.now_us)
        position = version_bytes(row.version)
        if item.item:
            info = VariantInfoChange(EVERYWHERE, variant, position, item.lane, item.caused_at, catalogue.item(row))
            unit.emit_everywhere(self._topics.orders, info)
        if item.record and self._mapping.delivery.catalogue is not None:
            content = self._content(unit, variant, row)
            # A rebuilt state has not seen what this one would be frozen with: then what was delivered stays.
            held = content is None and catalogue.is_unworkable(row, self._mapping)
            wanted = DesiredRecord(content or b"", variant, held=held) if held or content is not None else None
            key = str(variant)
            published = DesiredCatalogueChange(key, key, position, item.lane, item.caused_at, wanted)
            published.generation = self._topics.desired.generation
            unit.emit(self._topics.desired, published)

    def _content(self, unit: UnitOfWork, variant: int, row: VariantRow) -> bytes | None:
        """The catalogue record; remembers in ``row`` why there is none, or why it is not made of the newest rows."""
        product: ParentRow[rows.Product] = ParentRow()
        categories: dict[int, rows.Category] = {}
        for kind, parent in catalogue.parents(row):
            if kind is ChangeKind.PRODUCT:
                product = self._products.load(unit, str(parent))
            elif (category := _row(self._categories.load(unit, str(parent)))) is not None:
                categories[parent] = category
        here, last = _row(product), product.last
        shown, former_name = here or last, last.name if last is not None else None
        content = catalogue.record(variant, row, shown, categories, self._mapping, former_name)
        row.listed = content is not None or (row.listed and catalogue.is_unworkable(row, self._mapping))
        code = catalogue.held_code(row, self._mapping)
        if row.listed:
            named, deleted = shown is not None and shown.name is not None, here is None and last is not None
            code = catalogue.frozen_code(row, self._mapping, product_deleted=deleted, product_named=named)
        row.held = self.held.update(unit, str(variant), row.held, code, frozen=row.listed)
        return content


def _row(parent: ParentRow[T]) -> T | None:
    return None if parent.cell is None else parent.cell.row


def _last(stored: ParentRow[Any], new: Versioned[Any]) -> Any | None:
    """What must be remembered of former versions: nothing, while there is a row with a name."""
    former = _row(stored)
    if new.row is not None and new.row.name is not None:
        return None
    if former is None or stored.last is None:
        return former or stored.last
    return msgspec.structs.replace(former, name=former.name or stored.last.name)


def _pair(kind: ChangeKind, parent: int, variant: str) -> bytes:
    """The key of the index row, all key, that says that ``variant`` names the product or category."""
    return f"i{kind.value}.{parent}:{variant}".encode()


def _variants_of(unit: UnitOfWork, kind: ChangeKind, parent: int, after: str) -> Iterator[str]:
    """The variants, behind ``after``, that named the product or category when this unit began.

    What joined in this unit is in work already.
    """
    for key, _ in unit.scan(_pair(kind, parent, ""), _pair(kind, parent, after)):
        yield key.rpartition(b":")[2].decode()
