"""Orders agent: rows by order id in; order and credit facts by buyer, and records by recipient, out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from streams.agents.emitter import ChangeEmitter, unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.held import HeldIndex
from streams.agents.items import Items
from streams.agents.record_publisher import RecordPublisher
from streams.capture import rows
from streams.core.lanes import Lane, lane_for_fanout
from streams.domain import line_index, orders, recipients
from streams.domain.catalogue import Effect, written
from streams.domain.erasure import Digest, forget_in_order
from streams.domain.order_record import skus
from streams.domain.versioned import Versioned, next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import Change, ChangeKind, LineOwnership, LineQuery, OrderFact, VariantInfo
from streams.messages.kinds import LineOwnershipChange, LineQueryChange, LineReplyChange, OrderFactChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

_BLOCKS = (ChangeKind.LINE_OWNERSHIP, ChangeKind.LINE_QUERY)
_RECORD_ONLY = (
    ChangeKind.RECIPIENTS_REPLY,
    ChangeKind.CREDITED_AMOUNT,
    ChangeKind.RESEND_REQUEST,
    ChangeKind.FOLLOW_UP_DELIVERED,
)
"""What changes only the order's record. Its buyer need not hear of it, and must not where it is the buyer's own word."""


class StatusRow(msgspec.Struct, array_like=True, gc=False):
    """One row of the status lookup, kept in every partition."""

    cell: Versioned[rows.StatusText] | None = None


@dataclass(slots=True)
class _Touched:
    """An order in work.

    ``fact``: its buyer must hear of it. ``again``: a change came again, so what followed from it may be lost. ``variants``:
    those of its lines before the first line changed.
    """

    row: orders.OrderRow
    lane: int
    caused_at: int
    fact: bool = False
    again: bool = False
    variants: set[int] | None = None

    def cause(self, lane: int, caused_at: int) -> None:
        self.lane = min(self.lane, lane)
        self.caused_at = min(self.caused_at, caused_at)


@dataclass(slots=True)
class _Batch:
    """What one unit has touched so far, beside its writes; of statuses the lane of the news and when it was born."""

    texts: dict[int, str]
    orders: dict[int, _Touched] = field(default_factory=dict)
    blocks: dict[str, line_index.LineBlock] = field(default_factory=dict)
    statuses: dict[int, tuple[int, int]] = field(default_factory=dict)
    items: dict[int, Change] = field(default_factory=dict)
    seen: dict[int, VariantInfo | None] = field(default_factory=dict)


class OrdersHandler:
    """Assembles orders and credit notes, and joins credit notes to the lines that they give back."""

    name = "orders"

    def __init__(self, mapping: Mapping, topics: Topics, metrics: Metrics, digest: Digest) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._orders = Codec("o", orders.OrderRow)
        self._blocks = Codec("", line_index.LineBlock)
        self._statuses = Codec("s", StatusRow)
        self._items = Items()
        self._records = RecordPublisher(mapping, topics)
        self._texts: dict[int, dict[int, str]] = {}
        self.held = HeldIndex()
        self._erased = ErasedIndex(self.name, digest, topics, metrics)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read the partition's status lookup, what is held, and who was erased."""
        texts = self._texts[partition] = {}
        for key, value in table.scan(partition, b"s"):
            cell = self._statuses.decode(value).cell
            if cell is not None and cell.row is not None:
                texts[int(key[1:])] = cell.row.text
        self.held.recover(partition, table)
        self._erased.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self._texts.clear()
        self.held.clear()
        self._erased.clear()

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold every change of ``records``, then project each touched order once."""
        work = _Batch(dict(self._texts.get(unit.partition, {})))
        applied = stale = 0
        erasures = ErasureFilter(self._erased, unit)
        for change in erasures.filter(unpack_records(self._topics.orders, records)):
            done = self._fold(unit, change, work)
            applied += done
            stale += not done
        if work.statuses:
            self._touch_statuses(unit, work.statuses, work.orders)
        for variant, renamed in work.items.items():
            self._touch_variant(unit, variant, renamed, work.orders)
        if erasures.requests:
            self._forget(unit, erasures, work.orders)
        for order, item in work.orders.items():
            self._project(unit, order, item, work)
        for key, block in work.blocks.items():
            self._blocks.save(unit, key, block)
        unit.on_commit(lambda: self._texts.__setitem__(unit.partition, work.texts))
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale

    def _fold(self, unit: UnitOfWork, change: Change, work: _Batch) -> bool:
        if change.kind is ChangeKind.STATUS:
            return self._status(unit, change, work)
        if change.kind is ChangeKind.VARIANT_INFO:
            return self._item(unit, change, work.items)
        if change.kind in _BLOCKS:
            return self._block(unit, change, work.blocks)
        return self._order(unit, change, work.orders)

    def _status(self, unit: UnitOfWork, change: Change, work: _Batch) -> bool:
        status = int(change.pk)
        if change.keep or not isinstance(change.row, rows.StatusText | None):
            return False
        old = self._statuses.load(unit, str(status)).cell
        cell, effect = written(old, change)
        if effect is Effect.STALE:
            return False
        self._statuses.save(unit, str(status), StatusRow(cell))
        if change.row is None:
            work.texts.pop(status, None)
        else:
            work.texts[status] = change.row.text
        if effect is Effect.CHANGED:
            # A text that orders waited for is as pressing as they are; another text for what is there is not.
            renamed = old is not None and old.row is not None and old.position != change.position
            work.statuses[status] = (Lane.BULK if renamed else change.lane, change.caused_at)
        return True

    def _touch_statuses(self, unit: UnitOfWork, changed: dict[int, tuple[int, int]], touched: dict[int, _Touched]) -> None:
        found: dict[int, list[tuple[int, orders.OrderRow]]] = defaultdict(list)
        for key, value in unit.scan(b"o"):
            row = self._orders.decode(value)
            header = row.header.row if row.header is not None else None
            if header is not None and header.status in changed:
                found[header.status].append((int(key[1:]), row))
        for status, having in found.items():
            lane, caused_at = lane_for_fanout(changed[status][0], len(having)), changed[status][1]
            for order, row in having:
                item = touched.setdefault(order, _Touched(row, lane, caused_at))
                item.cause(lane, caused_at)
                item.fact = True

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter, touched: dict[int, _Touched]) -> None:
        """Take the erased out of every order of the partition."""
        for key, value in erasures.rows_mentioning(b"o"):
            touched.setdefault(int(key[1:]), _Touched(self._orders.decode(value), Lane.URGENT, unit.now_ms))
        for item in touched.values():
            if forget_in_order(item.row, erasures.digests):
                erasures.count(item.row.erased)
                item.lane, item.fact, item.again = Lane.URGENT, True, True
        erasures.write_audit()

    def _item(self, unit: UnitOfWork, change: Change, items: dict[int, Change]) -> bool:
        effect = self._items.apply(unit, change)
        if effect is Effect.CHANGED:
            items[int(change.pk)] = change
        return effect is not Effect.STALE

    def _touch_variant(self, unit: UnitOfWork, variant: int, change: Change, touched: dict[int, _Touched]) -> None:
        named = list(self._items.orders(unit, variant))
        lane = lane_for_fanout(change.lane, len(named))
        for order in named:
            item = touched.get(order) or _Touched(self._orders.load(unit, str(order)), lane, change.caused_at)
            item.cause(lane, change.caused_at)
            item.fact = True
            touched[order] = item

    def _block(self, unit: UnitOfWork, change: Change, blocks: dict[str, line_index.LineBlock]) -> bool:
        block = blocks.get(change.key)
        if block is None:
            block = blocks[change.key] = self._blocks.load(unit, change.key)
        answers = line_index.apply(block, change)
        if answers:
            block.version = next_version(block.version, unit.now_us)
            position = version_bytes(block.version)
            for credit, answer in answers:
                published = LineReplyChange(str(credit), credit, position, change.lane, change.caused_at, answer)
                unit.emit(self._topics.orders, published)
        return True

    def _order(self, unit: UnitOfWork, change: Change, touched: dict[int, _Touched]) -> bool:
        order = int(change.key)
        item = touched.get(order) or _Touched(self._orders.load(unit, change.key), change.lane, change.caused_at)
        if not self._apply(unit, order, item, change):
            return False
        item.cause(change.lane, change.caused_at)
        item.fact |= change.kind not in _RECORD_ONLY
        touched[order] = item
        return True

    def _apply(self, unit: UnitOfWork, order: int, item: _Touched, change: Change) -> bool:
        if change.kind is ChangeKind.RESEND_REQUEST:
            return True
        if change.kind is ChangeKind.FOLLOW_UP_DELIVERED:
            item.row.follow_up_delivered = True
            return True
        if change.kind is ChangeKind.RECIPIENTS_REPLY:
            return recipients.apply(item.row, change, self._mapping)
        old = orders.cell_at(item.row, change)
        if change.kind is ChangeKind.LINE and item.variants is None:
            item.variants = orders.variants(item.row)
        if not orders.apply(item.row, change):
            return False
        item.again |= old is not None and old.position == change.position
        if change.kind is ChangeKind.LINE:
            self._publish_line_ownership(unit, order, change, old)
        return True

    def _publish_line_ownership(
        self, unit: UnitOfWork, order: int, change: Change, before: Versioned[rows.Line] | None
    ) -> None:
        """Tell the line index when a line appears in or disappears from this order (or may have, before a crash)."""
        live = change.row is not None
        if before is None or (before.row is not None) != live or before.position == change.position:
            line = int(change.pk)
            owner = LineOwnership(order, live)
            published = LineOwnershipChange(
                line_index.block_key(line),
                line,
                change.position,
                change.lane,
                change.caused_at,
                owner,
            )
            unit.emit(self._topics.orders, published)

    def _project(self, unit: UnitOfWork, order: int, item: _Touched, work: _Batch) -> None:
        row = item.row
        row.version = next_version(row.version, unit.now_us)
        for line in sorted(orders.credited_lines(row, self._mapping) - row.line_replies.keys()):
            asked = LineQueryChange(line_index.block_key(line), line, b"", item.lane, item.caused_at, LineQuery(order))
            unit.emit(self._topics.orders, asked)
        result = orders.document_state(row, work.texts, self._mapping)
        code = result.code if isinstance(result, orders.Held) else None
        row.held = self.held.update(unit, str(order), row.held, code)
        live = result if isinstance(result, orders.Live) else None
        if live is not None and live.fact.credit and item.lane == Lane.LIVE:
            # A refund must stop the mail that asks for a review.
            item.lane = Lane.URGENT
        if item.variants is not None and self._mapping.products is not None:
            self._items.index(unit, order, item.variants, orders.variants(row))
        self._publish(ChangeEmitter(unit, version_bytes(row.version), item.lane, item.caused_at), order, item, live, work.seen)
        self._orders.save(unit, str(order), row)
        self.held.persist(unit, str(order), row.held)

    def _publish(
        self, emitter: ChangeEmitter, order: int, item: _Touched, live: orders.Live | None, seen: dict[int, VariantInfo | None]
    ) -> None:
        row, items = item.row, {}
        if live is not None and not live.fact.credit:
            items = self._items.known(emitter.unit, orders.variants(row), seen)
        if item.fact:
            self._publish_to_buyers(emitter, order, row, live, items)
            self._records.publish_credits(emitter, order, row, live)
        self._records.publish(emitter, order, row, live, items, again=item.again)

    def _publish_to_buyers(
        self, emitter: ChangeEmitter, order: int, row: orders.OrderRow, live: orders.Live | None, items: dict[int, VariantInfo]
    ) -> None:
        if live is not None and live.buyer not in row.buyers:
            row.buyers.append(live.buyer)
        for buyer in row.buyers:
            fact: OrderFact | None = None
            if live is not None and buyer == live.buyer:
                fact = live.fact if live.fact.credit else msgspec.structs.replace(live.fact, skus=skus(row, items))
            emitter.emit(self._topics.buyers, OrderFactChange, buyer, order, fact)
