"""Orders agent: rows by order id in, order and credit facts by buyer out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from streams.agents.held import HeldIndex
from streams.capture import rows
from streams.capture.rows import Lane
from streams.domain import lines, orders
from streams.domain.cells import Cell, accepts, next_version, version_bytes
from streams.domain.changes import Answer, Ask, Change, Kind, Owner, unpack
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit import Codec, Unit
from streams.mapping import Mapping
from streams.observability.metrics import Metrics
from streams.topics import Topics

_BLOCKS = (Kind.OWNER, Kind.ASK)


class StatusRow(msgspec.Struct, array_like=True, gc=False):
    """One row of the status lookup, kept in every partition."""

    cell: Cell[rows.StatusText] | None = None


@dataclass(slots=True)
class _Touched:
    row: orders.OrderRow
    lane: int
    born: int

    def cause(self, lane: int, born: int) -> None:
        self.lane = min(self.lane, lane)
        self.born = min(self.born, born)


class OrdersHandler:
    """Assembles orders and credit notes, and joins credit notes to the lines that they give back."""

    name = "orders"

    def __init__(self, mapping: Mapping, topics: Topics, metrics: Metrics) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._orders = Codec("o", orders.OrderRow)
        self._blocks = Codec("", lines.LineBlock)
        self._statuses = Codec("s", StatusRow)
        self._texts: dict[int, dict[int, str]] = {}
        self.held = HeldIndex()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read the partition's status lookup and what is held."""
        texts = self._texts[partition] = {}
        for key, value in table.scan(partition, b"s"):
            cell = self._statuses.decode(value).cell
            if cell is not None and cell.row is not None:
                texts[int(key[1:])] = cell.row.text
        self.held.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self._texts.clear()
        self.held.clear()

    def handle(self, unit: Unit, records: Sequence[Record]) -> int:
        """Fold every change of ``records``, then project each touched order once."""
        texts = dict(self._texts.get(unit.partition, {}))
        touched: dict[int, _Touched] = {}
        blocks: dict[str, lines.LineBlock] = {}
        renamed: set[int] = set()
        applied = stale = 0
        for change in self._changes(records):
            if change.kind is Kind.STATUS:
                done = self._status(unit, change, texts, renamed)
            elif change.kind in _BLOCKS:
                done = self._block(unit, change, blocks)
            else:
                done = self._order(unit, change, touched)
            applied += done
            stale += not done
        if renamed:
            self._touch_status(unit, renamed, touched)
        for order, item in touched.items():
            self._project(unit, order, item, texts)
        for key, block in blocks.items():
            self._blocks.save(unit, key, block)
        unit.then(lambda: self._texts.__setitem__(unit.partition, texts))
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale

    def _changes(self, records: Iterable[Record]) -> Iterable[Change]:
        for record in records:
            yield from unpack(record.value or b"")

    def _status(self, unit: Unit, change: Change, texts: dict[int, str], renamed: set[int]) -> bool:
        status = int(change.pk)
        row = self._statuses.load(unit, str(status))
        if change.keep or not accepts(row.cell, change.position) or not isinstance(change.row, rows.StatusText | None):
            return False
        self._statuses.save(unit, str(status), StatusRow(Cell(change.position, change.row)))
        if change.row is None:
            texts.pop(status, None)
        else:
            texts[status] = change.row.text
        # Also when the text is the same: after a crash the orders may not have heard of the first time.
        renamed.add(status)
        return True

    def _touch_status(self, unit: Unit, renamed: set[int], touched: dict[int, _Touched]) -> None:
        for key, value in unit.scan(b"o"):
            order = int(key[1:])
            row = self._orders.decode(value)
            header = row.header.row if row.header is not None else None
            if header is not None and header.status in renamed and order not in touched:
                touched[order] = _Touched(row, Lane.BULK, unit.now_ms)

    def _block(self, unit: Unit, change: Change, blocks: dict[str, lines.LineBlock]) -> bool:
        block = blocks.get(change.key)
        if block is None:
            block = blocks[change.key] = self._blocks.load(unit, change.key)
        answers = lines.apply(block, change)
        if answers:
            block.version = next_version(block.version, unit.now_us)
            position = version_bytes(block.version)
            for credit, answer in answers:
                told = Change(Kind.ANSWER, str(credit), credit, position, change.lane, change.born, answer)
                unit.emit(self._topics.orders, told)
        return True

    def _order(self, unit: Unit, change: Change, touched: dict[int, _Touched]) -> bool:
        order = int(change.key)
        item = touched.get(order)
        row = item.row if item is not None else self._orders.load(unit, change.key)
        if change.kind is Kind.ANSWER and isinstance(change.row, Answer):
            old = row.answers.get(change.row.line)
            done = accepts(old, change.position)
            if done:
                row.answers[change.row.line] = Cell(change.position, change.row.exists)
        else:
            before = row.lines.get(int(change.pk)) if change.kind is Kind.LINE else None
            done = orders.apply(row, change)
            if done and change.kind is Kind.LINE:
                self._own(unit, order, change, before)
        if done:
            if item is None:
                touched[order] = _Touched(row, change.lane, change.born)
            else:
                item.cause(change.lane, change.born)
        return done

    def _own(self, unit: Unit, order: int, change: Change, before: Cell[rows.Line] | None) -> None:
        """Tell the line index when a line appears in or disappears from this order (or may have, before a crash)."""
        live = change.row is not None
        if before is None or (before.row is not None) != live or before.position == change.position:
            line = int(change.pk)
            owner = Owner(order, live)
            told = Change(Kind.OWNER, lines.block_key(line), line, change.position, change.lane, change.born, owner)
            unit.emit(self._topics.orders, told)

    def _project(self, unit: Unit, order: int, item: _Touched, texts: dict[int, str]) -> None:
        row = item.row
        row.version = next_version(row.version, unit.now_us)
        for line in sorted(orders.credited_lines(row, self._mapping) - row.answers.keys()):
            asked = Change(Kind.ASK, lines.block_key(line), line, b"", item.lane, item.born, Ask(order))
            unit.emit(self._topics.orders, asked)
        result = orders.outcome(row, texts, self._mapping)
        code = result.code if isinstance(result, orders.Held) else None
        if code is not None or row.held is not None:
            row.held = self.held.note(unit, str(order), row.held, code)
        if isinstance(result, orders.Live) and result.buyer not in row.buyers:
            row.buyers.append(result.buyer)
        if isinstance(result, orders.Live) and result.fact.credit and item.lane == Lane.LIVE:
            # A refund must stop the mail that asks for a review.
            item.lane = Lane.URGENT
        position = version_bytes(row.version)
        for buyer in row.buyers:
            fact = result.fact if isinstance(result, orders.Live) and buyer == result.buyer else None
            unit.emit(self._topics.buyers, Change(Kind.FACT, buyer, order, position, item.lane, item.born, fact))
        self._orders.save(unit, str(order), row)
