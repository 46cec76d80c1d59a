"""Outbox: desired contacts and deliveries in; the delivery state of every contact, and the schedule that follows from it.

The dirty mark of a contact is cleared by consuming its delivery, never by a timer, so it survives restarts and rebalances.
Dirty contacts have a small row of their own under the prefix ``d``, from which the schedule is rebuilt.
"""

from collections.abc import Sequence

import msgspec

from streams.capture.rows import Lane
from streams.dispatch.schedule import Schedule
from streams.domain.changes import Change, Desired, Kind, unpack
from streams.domain.debounce import Debounce
from streams.domain.delivery import Delivery, OutboxRow, carry_consent, settle, want
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit import Codec, Unit
from streams.observability.metrics import Metrics
from streams.topics import Topics

DIRTY = "d"
OUTBOX: Codec[OutboxRow] = Codec("e", OutboxRow)

_encode = msgspec.msgpack.Encoder().encode
_decode_dirty = msgspec.msgpack.Decoder(tuple[int, int]).decode
_decode_delivery = msgspec.json.Decoder(Delivery).decode


class OutboxHandler:
    """Keeps desired and delivered apart, and the schedule in step with the difference."""

    name = "outbox"

    def __init__(self, topics: Topics, debounce: Debounce, schedule: Schedule, metrics: Metrics) -> None:
        self._topics = topics
        self._debounce = debounce
        self._schedule = schedule
        self._metrics = metrics

    def recovered(self, partition: int, table: StateTable) -> None:
        """Put every dirty contact of the partition back into the schedule."""
        for key, value in table.scan(partition, DIRTY.encode()):
            due, lane = _decode_dirty(value)
            self._schedule.put(key[len(DIRTY) :].decode(), partition, due, lane)

    def revoked(self) -> None:
        """Whoever owns the partitions next rebuilds the schedule."""
        self._schedule.clear()

    def handle(self, unit: Unit, records: Sequence[Record]) -> int:
        """Fold desired contacts and deliveries in order."""
        touched: dict[str, OutboxRow] = {}
        answered: set[str] = set()
        applied = stale = 0
        for record in records:
            if record.topic == self._topics.deliveries:
                delivery = _decode_delivery(record.value or b"")
                self._settle(self._row(unit, delivery.email, touched), delivery, unit.now_ms)
                if delivery.outcome != "noted":
                    answered.add(delivery.email)
                continue
            for change in unpack(record.value or b""):
                done = self._want(self._row(unit, change.key, touched), change, unit.now_ms)
                applied += done
                stale += not done
        for email, row in touched.items():
            self._save(unit, email, row, answered=email in answered)
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale + len(answered)

    def _row(self, unit: Unit, email: str, touched: dict[str, OutboxRow]) -> OutboxRow:
        row = touched.get(email)
        if row is None:
            row = touched[email] = OUTBOX.load(unit, email)
        return row

    def _want(self, row: OutboxRow, change: Change, now: int) -> bool:
        was_dirty = row.dirty
        if was_dirty and row.due <= now:
            # A call may have been made whose answer is lost: what was delivered before is no longer certain.
            row.unsure = True
        if change.kind is Kind.CONSENT:
            carry_consent(row)
        elif not isinstance(change.row, Desired) or not want(row, change.row, change.position):
            return False
        if not row.dirty:
            return True
        urgent = row.opted_out and row.known and not row.told_out
        lane = Lane.URGENT if urgent else Lane(change.lane)
        if not was_dirty:
            row.first, row.born, row.lane = now, change.born, lane
            row.due = self._debounce.due(lane, now, now, None)
        else:
            row.born = min(row.born, change.born)
            waiting = row.due if row.lane < lane else None
            row.due = self._debounce.due(lane, now, row.first, waiting)
            row.lane = min(row.lane, lane)
        return True

    def _settle(self, row: OutboxRow, delivery: Delivery, now: int) -> None:
        settle(row, delivery)
        if delivery.outcome == "noted":
            return
        if row.dirty and row.hash is not None:
            # Wanted content changed while the call was under way: its own debounce goes on, from now at the latest.
            row.first = now
            row.due = max(row.due, now)

    def _save(self, unit: Unit, email: str, row: OutboxRow, *, answered: bool) -> None:
        OUTBOX.save(unit, email, row)
        key = f"{DIRTY}{email}".encode()
        dirty, due, lane, partition = row.dirty, row.due, row.lane, unit.partition
        unit.put(key, _encode((due, lane)) if dirty else None)

        def follow() -> None:
            if answered:
                self._schedule.answered(email, due if dirty else None, lane)
            if dirty:
                self._schedule.put(email, partition, due, lane)
            else:
                self._schedule.drop(email)

        unit.then(follow)
