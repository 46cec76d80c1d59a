"""What orders show and their rows cannot say any more, read from and written to the topic that no rebuild clears.

One state writes it: the one in force. Another that is being built beside it reads the topic too, keeps what it works out itself
on top, and publishes that once it is the one in force (``docs/decisions/019-frozen-facts.md``).
"""

from collections.abc import Callable, Iterator
from itertools import islice

from streams.agents.held import PREFIX, decode_reason
from streams.domain.frozen_facts import is_unpublished
from streams.domain.orders import OrderRow
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.frozen_orders import NOTHING, write_frozen

_OWED = b"k"
"""Before an order's id: what it shows is to be published, but this state was not the one in force."""
_MOST_AT_ONCE = 100


class FrozenOrders:
    """The writer of topic ``frozen-orders``; ``in_force`` says whether this worker's state may write."""

    def __init__(self, topic: str, in_force: Callable[[], bool]) -> None:
        self.topic = topic
        self._in_force = in_force
        self._owing: set[int] = set()
        self._unpublished: dict[int, list[str]] = {}

    def recover(self, partition: int, table: StateTable, decode: Callable[[bytes], OrderRow]) -> None:
        """See whether the partition has something to publish; ``decode`` reads the row of an order."""
        if next(iter(table.scan(partition, _OWED)), None) is not None:
            self._owing.add(partition)
        # Version 0.2.0 froze orders, and kept nothing of them but their rows.
        frozen = (key[1:] for key, value in table.scan(partition, PREFIX.encode()) if decode_reason(value).frozen)
        rows = ((order, table.get(partition, b"o" + order)) for order in frozen if order.isdigit())
        found = [order.decode() for order, value in rows if value is not None and decode(value).kept is None]
        if found:
            self._unpublished[partition] = found

    def clear(self) -> None:
        """Forget everything in memory."""
        self._owing.clear()
        self._unpublished.clear()

    def owed(self, unit: UnitOfWork) -> Iterator[str]:
        """Some of the orders to be worked out for the topic now: they waited for this state to be in force, or this version."""
        if some := self._unpublished.get(unit.partition, [])[:_MOST_AT_ONCE]:
            unit.on_commit(lambda: self._done(unit.partition, len(some)))
            yield from some
        if unit.partition not in self._owing or not self._in_force():
            return
        found = list(islice(unit.scan(_OWED), _MOST_AT_ONCE))
        if len(found) < _MOST_AT_ONCE:
            unit.on_commit(lambda: self._owing.discard(unit.partition))
        for key, _ in found:
            unit.put(key, None)
            yield key[len(_OWED) :].decode()

    def _done(self, partition: int, count: int) -> None:
        left = self._unpublished.get(partition, [])[count:]
        if left:
            self._unpublished[partition] = left
        else:
            self._unpublished.pop(partition, None)

    def publish(self, unit: UnitOfWork, order: str, row: OrderRow, *, again: bool) -> None:
        """Write what the order's rows cannot say, unless the topic says it.

        It is said again until it was read back, so a crash between the changelog and the topic loses nothing; and whenever the
        order's rows are read ``again``, as after a power loss in which the topic may have lost its tail.
        """
        if row.kept is None:
            return
        facts, in_force = row.kept.facts, self._in_force()
        if is_unpublished(row) or (again and in_force and facts != NOTHING):
            if in_force:
                unit.emit_raw(self.topic, unit.partition, order.encode(), None if facts == NOTHING else write_frozen(facts))
            else:
                unit.put(_OWED + order.encode(), b"")
                unit.on_commit(lambda: self._owing.add(unit.partition))
