"""Orders agent: rows by order id in; order and credit facts by buyer, and records by recipient, out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from streams.agents.barrier_rounds import BarrierRounds
from streams.agents.canary import passing_canaries
from streams.agents.change_tally import ChangeTally
from streams.agents.emitter import ChangeEmitter, unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.frozen_orders import FrozenOrders
from streams.agents.held import HeldIndex
from streams.agents.held_orders import HeldOrders, is_unknown
from streams.agents.items import Item, Items
from streams.agents.order_facts import order_fact
from streams.agents.record_publisher import RecordPublisher
from streams.agents.status_lookup import StatusLookup, has_status
from streams.agents.sweeps import Slice, Sweeps, one_by_one
from streams.capture import rows
from streams.core.lanes import Lane, lane_for_fanout
from streams.domain import line_index, orders, recipients
from streams.domain.catalogue import Effect
from streams.domain.digester import Digester
from streams.domain.erasure import forget_in_order
from streams.domain.frozen_facts import receive, settle, unsayable
from streams.domain.last_workable import LastWorkable
from streams.domain.order_head import Statuses, left_to_stand_in
from streams.domain.versioned import Versioned, next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import Change, ChangeKind, LineOwnership, LineQuery, OrderFact, Sweep, VariantInfo
from streams.messages.frozen_orders import NOTHING, read_frozen
from streams.messages.kinds import LineOwnershipChange, LineQueryChange, LineReplyChange, OrderFactChange, SweepChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

_OF_NO_ORDER = frozenset(
    {ChangeKind.STATUS, ChangeKind.VARIANT_INFO, ChangeKind.SWEEP, ChangeKind.LINE_OWNERSHIP, ChangeKind.LINE_QUERY}
)
_RECORD_ONLY = (
    ChangeKind.RECIPIENTS_REPLY,
    ChangeKind.CREDITED_ORDER,
    ChangeKind.CREDITED_AMOUNT,
    ChangeKind.RESEND_REQUEST,
    ChangeKind.FOLLOW_UP_DELIVERED,
)
"""What changes only the order's record. Its buyer needs no fact of it; in reply to the buyer's own it would be a loop."""


_UNPLACED = " recipient"
"""Behind an order's id: its record is counted as held, beside the order itself, which may be frozen."""


@dataclass(slots=True)
class _Touched:
    """An order in work.

    ``fact``: its buyer must get it. ``again``: a change came again, so what followed from it may be lost. ``variants``:
    those of its lines before the first line changed.
    """

    row: orders.OrderRow
    lane: int
    caused_at: int
    fact: bool = False
    again: bool = False
    variants: set[int] | None = None

    def cause(self, lane: int, caused_at: int) -> None:
        # What is published once for several changes is as urgent as the most urgent one, and as late as the oldest one.
        self.lane = min(self.lane, lane)
        self.caused_at = min(self.caused_at, caused_at)


@dataclass(slots=True)
class _Batch:
    """What one unit has touched so far, beside its writes."""

    known: Statuses
    orders: dict[int, _Touched] = field(default_factory=dict)
    blocks: dict[str, line_index.LineBlock] = field(default_factory=dict)
    sweeps: Sweeps = field(default_factory=Sweeps)
    seen: dict[int, Item | None] = field(default_factory=dict)


class OrdersHandler:
    """Assembles orders and credit notes, and joins credit notes to the lines that they give back."""

    name = "orders"

    def __init__(
        self,
        mapping: Mapping,
        topics: Topics,
        metrics: Metrics,
        digest: Digester,
        in_force: Callable[[], bool] = lambda: True,
    ) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._orders = Codec("o", orders.OrderRow)
        self._blocks = Codec("", line_index.LineBlock)
        self._statuses = StatusLookup(mapping)
        self._items = Items()
        self._frozen = FrozenOrders(topics.frozen_orders, in_force)
        self._records = RecordPublisher(mapping, topics)
        self.held = HeldIndex()
        self._held_orders = HeldOrders(topics)
        self._erased = ErasedIndex(self.name, digest, topics, metrics)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read the partition's status lookup, what is held, and who was erased."""
        self._statuses.recover(partition, table)
        self._frozen.recover(partition, table, self._orders.decode)
        self.held.recover(partition, table)
        self._erased.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self._statuses.clear()
        self._frozen.clear()
        self.held.clear()
        self._erased.clear()

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold every change of ``records``, then project each touched order once."""
        work = _Batch(self._statuses.begin(unit))
        tally = ChangeTally(self._metrics, self.name)
        erasures = ErasureFilter(self._erased, unit)
        rounds = BarrierRounds(unit, self.name, self._topics, self._held_orders.all)
        kept = [record for record in records if record.topic == self._frozen.topic]
        changes = unpack_records(self._topics.orders, (record for record in records if record.topic != self._frozen.topic))
        arrived = passing_canaries(unit, changes, self._topics.buyers)
        for change in erasures.filter(rounds.taken_from(arrived)):
            done = self._fold(unit, change, work)
            tally.count(change, applied=done)
        for record in rounds.frozen_orders_in(kept):
            self._receive(unit, record, work.orders)
        for owed in self._frozen.owed(unit):
            self._touch(unit, int(owed), work.orders, Lane.BULK, unit.now_ms)
        # Before the projections: the orders that it reaches are projected in this unit too.
        self._sweep(unit, work)
        if erasures.requests:
            self._forget(unit, erasures, work.orders)
        for order, item in work.orders.items():
            self._project(unit, order, item, work)
        for key, block in work.blocks.items():
            self._blocks.save(unit, key, block)
        rounds.pass_on()
        return tally.show()

    def _fold(self, unit: UnitOfWork, change: Change, work: _Batch) -> bool:
        if change.kind not in _OF_NO_ORDER:
            return self._order(unit, change, work)
        if change.kind is ChangeKind.STATUS:
            return self._status(unit, change, work)
        if change.kind is ChangeKind.VARIANT_INFO:
            return self._item(unit, change, work.sweeps)
        if isinstance(change, SweepChange):
            work.sweeps.open.append(change)
            return True
        return self._block(unit, change, work.blocks)

    def _status(self, unit: UnitOfWork, change: Change, work: _Batch) -> bool:
        effect, renamed = self._statuses.apply(unit, change, work.known)
        if effect is Effect.CHANGED:
            # A text that orders waited for is as pressing as they are; another text for what is there is not.
            work.sweeps.begin(change, Lane.BULK if renamed else change.lane)
        return effect is not Effect.STALE

    def _sweep(self, unit: UnitOfWork, work: _Batch) -> None:
        """Reach some of the orders that statuses and variants concern; what is left comes again."""
        slice_ = Slice()
        for sweep in work.sweeps.open:
            if sweep.pk == ChangeKind.STATUS:
                left = self._sweep_statuses(unit, sweep, slice_, work.orders)
            else:
                left = self._sweep_variants(unit, sweep, slice_, work.orders)
            if left is not None:
                sweep.row = left
                unit.emit_here(self._topics.orders, sweep)

    def _sweep_statuses(
        self, unit: UnitOfWork, sweep: SweepChange, slice_: Slice, touched: dict[int, _Touched]
    ) -> Sweep | None:
        """All orders are looked at, for all statuses together: an index would cost every order two rows a status."""
        after, found, ended = sweep.row.after, list[int](), False
        if not slice_.spent:
            ended = True
            for key, value in unit.scan(b"o", f"o{after}".encode()):
                if slice_.look <= 0 or slice_.reach <= 0:
                    ended = False
                    break
                after, order = key[1:].decode(), int(key[1:])
                slice_.look -= 1
                if has_status(touched[order].row if order in touched else value, sweep.row.things):
                    found.append(order)
                    slice_.reach -= 1
        reached = sweep.row.reached + len(found)
        for order in found:
            self._reach(unit, order, sweep, reached, touched)
        return None if ended else Sweep(sweep.row.things, after, reached)

    def _sweep_variants(
        self, unit: UnitOfWork, sweep: SweepChange, slice_: Slice, touched: dict[int, _Touched]
    ) -> Sweep | None:
        return one_by_one(
            sweep,
            slice_,
            lambda variant, after: self._items.orders(unit, variant, after),
            lambda order, reached: self._reach(unit, int(order), sweep, reached, touched),
        )

    def _reach(self, unit: UnitOfWork, order: int, sweep: SweepChange, reached: int, touched: dict[int, _Touched]) -> None:
        lane = lane_for_fanout(sweep.lane, reached)
        item = self._touch(unit, order, touched, lane, sweep.caused_at)
        item.cause(lane, sweep.caused_at)
        item.fact = True

    def _touch(self, unit: UnitOfWork, order: int, touched: dict[int, _Touched], lane: int, caused_at: int) -> _Touched:
        if order not in touched:
            touched[order] = _Touched(self._orders.load(unit, str(order)), lane, caused_at)
        return touched[order]

    def _receive(self, unit: UnitOfWork, record: Record, touched: dict[int, _Touched]) -> None:
        """What an order showed before a rebuild; or what this state said of it, which comes back to it."""
        order = int(record.key or b"")
        row = touched[order].row if order in touched else self._orders.load(unit, str(order))
        if receive(row, NOTHING if record.value is None else read_frozen(record.value)):
            touched.setdefault(order, _Touched(row, Lane.BULK, unit.now_ms)).fact = True
        elif order not in touched:
            self._orders.save(unit, str(order), row)

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter, touched: dict[int, _Touched]) -> None:
        """Take the erased out of every order of the partition."""
        for key, value in erasures.rows_mentioning(b"o"):
            touched.setdefault(int(key[1:]), _Touched(self._orders.decode(value), Lane.URGENT, unit.now_ms))
        for item in touched.values():
            if forget_in_order(item.row, erasures.digests):
                erasures.count(item.row.erased)
                item.lane, item.fact, item.again = Lane.URGENT, True, True
        erasures.write_audit()

    def _item(self, unit: UnitOfWork, change: Change, sweeps: Sweeps) -> bool:
        effect = self._items.apply(unit, change)
        if effect is Effect.CHANGED:
            sweeps.begin(change, change.lane)
        return effect is not Effect.STALE

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

    def _order(self, unit: UnitOfWork, change: Change, work: _Batch) -> bool:
        order = int(change.key)
        item = work.orders.get(order) or _Touched(self._orders.load(unit, change.key), change.lane, change.caused_at)
        if not self._apply(unit, order, item, change):
            return False
        item.cause(change.lane, change.caused_at)
        item.fact |= change.kind not in _RECORD_ONLY
        work.orders[order] = item
        return True

    def _apply(self, unit: UnitOfWork, order: int, item: _Touched, change: Change) -> bool:
        if change.kind is ChangeKind.RESEND_REQUEST:
            return True
        if change.kind is ChangeKind.FOLLOW_UP_DELIVERED:
            item.row.follow_up_delivered = True
            return True
        if change.kind in (ChangeKind.RECIPIENTS_REPLY, ChangeKind.CREDITED_ORDER):
            done = recipients.apply(item.row, change)
            # What a credit note takes off its buyer's spend depends on whether the order counts.
            item.fact |= done and change.kind is ChangeKind.CREDITED_ORDER
            return done
        old = orders.cell_at(item.row, change)
        if change.kind is ChangeKind.LINE and item.variants is None:
            item.variants = orders.variants(item.row)
        if not orders.apply(item.row, change, self._mapping):
            return False
        item.again |= old is not None and old.position == change.position
        if change.kind is ChangeKind.LINE:
            self._publish_line_ownership(unit, order, change, old)
        return True

    def _publish_line_ownership(
        self, unit: UnitOfWork, order: int, change: Change, before: Versioned[rows.Line] | None
    ) -> None:
        """Publish to the line index when a line appears in or disappears from this order (or may have, before a crash)."""
        live = change.row is not None
        if before is None or (before.row is not None) != live or before.position == change.position:
            line = int(change.pk)
            owner, key = LineOwnership(order, live), line_index.block_key(line)
            published = LineOwnershipChange(key, line, change.position, change.lane, change.caused_at, owner)
            unit.emit(self._topics.orders, published)

    def _project(self, unit: UnitOfWork, order: int, item: _Touched, work: _Batch) -> None:
        row = item.row
        row.version = next_version(row.version, unit.now_us)
        for line in sorted(orders.credited_lines(row, self._mapping) - row.line_replies.keys()):
            asked = LineQueryChange(line_index.block_key(line), line, b"", item.lane, item.caused_at, LineQuery(order))
            unit.emit(self._topics.orders, asked)
        result = orders.document_state(row, work.known, self._mapping)
        unknown = is_unknown(row.held)
        self._hold(unit, order, row, result, work.known)
        live = result if isinstance(result, orders.Live) else None
        if live is not None and live.fact.credit and item.lane == Lane.LIVE:
            # A refund must stop the mail that asks for a review.
            item.lane = Lane.URGENT
        if item.variants is not None and self._mapping.products is not None:
            self._items.index(unit, order, item.variants, orders.variants(row))
        items = self._items.of_order(unit, row, item.variants, work.seen)
        # Nothing follows from what is not known: what was published before stays.
        if not isinstance(result, orders.Held) or result.withdrawn:
            emitter = ChangeEmitter(unit, version_bytes(row.version), item.lane, item.caused_at)
            self._publish(emitter, order, item, live, items.shown)
            code = "recipient_unknown" if self._records.is_strangers(row, live) else None
            row.unplaced = self.held.update(unit, f"{order}{_UNPLACED}", row.unplaced, code)
        held = isinstance(result, orders.Held) and not result.withdrawn and is_unknown(row.held)
        if held != unknown or item.again:
            self._held_orders.changed(unit, order, item.lane, held=held)
        self._keep(row, result, work.known, items.unsaid)
        self._frozen.publish(unit, str(order), row, again=item.again)
        self._orders.save(unit, str(order), row)
        self.held.persist(unit, str(order), row.held)
        self.held.persist(unit, f"{order}{_UNPLACED}", row.unplaced)

    def _keep(
        self, row: orders.OrderRow, result: orders.DocumentState, known: Statuses, unsaid: dict[int, VariantInfo]
    ) -> None:
        """Remember what the order's rows cannot say; of an order that waits for something this is what was kept before."""
        if isinstance(result, orders.Live):
            if row.kept is not None or unsaid or result.frozen is not None or result.fact.credit:
                stand_ins = partial(orders.stand_ins, row, known, self._mapping)
                settle(row, unsayable(row, result, stand_ins, unsaid))
        elif row.kept is not None and orders.is_gone(row, result):
            settle(row, NOTHING)

    def _hold(self, unit: UnitOfWork, order: int, row: orders.OrderRow, result: orders.DocumentState, known: Statuses) -> None:
        """Remember whether the order is held or frozen; of one that is neither, drop what cannot stand in any more."""
        if isinstance(result, orders.Live):
            code, frozen = result.frozen, True
        else:
            code, frozen = None, False
            if isinstance(result, orders.Held):
                code, frozen = result.code, bool(row.buyers) and not result.withdrawn
        row.held = self.held.update(unit, str(order), row.held, code, frozen=frozen, since=row.kept_facts.since)
        # Without a header nothing was worked out yet: what came and went before it counts when it comes.
        if row.header is not None and (code is None or row.header.row is None):
            row.last = left_to_stand_in(row.last, known, self._mapping) if isinstance(result, orders.Live) else LastWorkable()

    def _publish(
        self, emitter: ChangeEmitter, order: int, item: _Touched, live: orders.Live | None, items: dict[int, VariantInfo]
    ) -> None:
        if item.fact:
            self._publish_to_buyers(emitter, order, item.row, live, items)
            self._records.publish_credits(emitter, order, item.row, live)
        self._records.publish(emitter, order, item.row, live, items, again=item.again)

    def _publish_to_buyers(
        self, emitter: ChangeEmitter, order: int, row: orders.OrderRow, live: orders.Live | None, items: dict[int, VariantInfo]
    ) -> None:
        if live is not None and live.buyer not in row.buyers:
            row.buyers.append(live.buyer)
        for buyer in row.buyers:
            # A former buyer gets an empty fact, and takes the order out of its sums.
            fact: OrderFact | None = None
            if live is not None and buyer == live.buyer:
                fact = order_fact(order, row, live, items)
            emitter.emit(self._topics.buyers, OrderFactChange, buyer, order, fact)
