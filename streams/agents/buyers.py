"""Buyers agent: customers, contacts and order facts by buyer in, one part per e-mail address out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.agents.held import HeldIndex
from streams.domain import buyers
from streams.domain.cells import Cell, next_version, version_bytes
from streams.domain.changes import Change, Fact, Kind, unpack
from streams.domain.ledger import Branch, Leaf, Node
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit import Codec, Unit
from streams.observability.metrics import Metrics
from streams.topics import Topics

import msgspec  # isort: skip


class PageRow(msgspec.Struct, array_like=True, gc=False):
    """One page of a ledger."""

    node: Leaf | Branch = msgspec.field(default_factory=Leaf)


_pages = Codec("p", PageRow)


@dataclass(slots=True)
class _Touched:
    row: buyers.BuyerRow
    lane: int
    born: int
    facts: list[tuple[int, Cell[Fact]]] = field(default_factory=list)


class _Ledger:
    """The pages of one buyer's ledger, through the unit."""

    def __init__(self, unit: Unit, key: str, row: buyers.BuyerRow) -> None:
        self._unit = unit
        self._key = key
        self._row = row
        self._freed: list[int] = []

    def load(self, page: int) -> Node:
        """The node on ``page``."""
        return _pages.load(self._unit, self._name(page)).node

    def save(self, page: int, node: Node) -> None:
        """Write ``node`` to ``page``."""
        _pages.save(self._unit, self._name(page), PageRow(node))

    def new(self) -> int:
        """The buyer's next page number."""
        self._row.next_page += 1
        return self._row.next_page - 1

    def free(self, page: int) -> None:
        """Remember to delete ``page``."""
        self._freed.append(page)

    def delete_freed(self) -> None:
        """Delete the freed pages; to be called after the buyer's row was written."""
        for page in self._freed:
            self._unit.put(_pages.key(self._name(page)), None)

    def _name(self, page: int) -> str:
        return f"{self._key}\0{page}"


class BuyersHandler:
    """Folds a buyer's rows and facts, and tells every address what it should know."""

    name = "buyers"

    def __init__(self, topics: Topics, metrics: Metrics) -> None:
        self._topics = topics
        self._metrics = metrics
        self._buyers = Codec("b", buyers.BuyerRow)
        self.held = HeldIndex()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read what is held."""
        self.held.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self.held.clear()

    def handle(self, unit: Unit, records: Sequence[Record]) -> int:
        """Fold every change, then project each touched buyer once."""
        touched: dict[str, _Touched] = {}
        applied = stale = 0
        for record in records:
            for change in unpack(record.value or b""):
                done = self._fold(unit, change, touched)
                applied += done
                stale += not done
        for key, item in touched.items():
            self._project(unit, key, item)
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale

    def _fold(self, unit: Unit, change: Change, touched: dict[str, _Touched]) -> bool:
        item = touched.get(change.key)
        row = item.row if item is not None else self._buyers.load(unit, change.key)
        if change.kind is not Kind.FACT and not buyers.apply(row, change):
            return False
        if item is None:
            item = touched[change.key] = _Touched(row, change.lane, change.born)
        item.lane = min(item.lane, change.lane)
        item.born = min(item.born, change.born)
        if change.kind is Kind.FACT:
            fact = change.row if isinstance(change.row, Fact) else None
            item.facts.append((int(change.pk), Cell(change.position, fact)))
        return True

    def _project(self, unit: Unit, key: str, item: _Touched) -> None:
        row = item.row
        ledger = _Ledger(unit, key, row)
        if item.facts:
            buyers.apply_facts(row, item.facts, ledger)
        row.version = next_version(row.version, unit.now_us)
        told, code = buyers.parts(key, row, ledger)
        if code is not None or row.held is not None:
            row.held = self.held.note(unit, key, row.held, code)
        position = version_bytes(row.version)
        for address, part in told.items():
            unit.emit(self._topics.contacts, Change(Kind.PART, address, key, position, item.lane, item.born, part))
        self._buyers.save(unit, key, row)
        ledger.delete_freed()
