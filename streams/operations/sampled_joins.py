"""The joins of one mapping in this process, over some of the rows: the handlers of the workers, without Kafka.

State is in a temporary directory, for products alone may be more than memory should hold. Nothing of it has an effect.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.held import PREFIX, decode_reason
from streams.agents.held_orders import is_unknown
from streams.agents.orders import OrdersHandler
from streams.agents.products import ProductsHandler
from streams.core.clock import Clock
from streams.core.errors import OwddError
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.shadow_rows import task_wanted
from streams.dispatch.outbox.tasks import Family, family_of
from streams.domain import record_state, wanted
from streams.domain.digester import Digester
from streams.engine.stage import Handler, Record
from streams.engine.store import StorePosition
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import Change
from streams.messages.topics import ChangeTopic, Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings

_TOGETHER = 256
"""Records of one unit."""


class _Table(StateTable):
    """A table of one partition that has no changelog."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(directory, "sample", name)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.store(partition).get(key)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self.store(partition).scan(prefix, after)


class SampledJoins:
    """One mapping's joins.

    Attributes:
        desired: what they want, by task: rows of the outbox, of which only the desired half is used.
        failed: changes that no stage could apply, by the name of the error; in the workers they are dead letters.
    """

    def __init__(self, settings: Settings, mapping: Mapping, directory: Path, clock: Clock) -> None:
        self.topics = Topics.of(settings.app_id, settings.generation)
        self.desired: dict[str, Any] = {}
        self.failed: Counter[str] = Counter()
        self._clock = clock
        metrics, digest = Metrics(), Digester(*settings.erasure_keys)
        self._handlers: dict[str, Handler] = {
            self.topics.orders: OrdersHandler(mapping, self.topics, metrics, digest),
            self.topics.buyers: BuyersHandler(self.topics, metrics, digest),
            self.topics.contacts: ContactsHandler(mapping, self.topics, metrics, digest),
            self.topics.products: ProductsHandler(mapping, self.topics, metrics),
        }
        self._tables = {topic: _Table(directory, handler.name) for topic, handler in self._handlers.items()}
        for topic, handler in self._handlers.items():
            handler.recovered(0, self._tables[topic])
        self._waiting: dict[str, deque[Record]] = defaultdict(deque)

    def feed(self, topic: ChangeTopic[Any], change: Change) -> None:
        """A change that ingest would emit."""
        self._waiting[topic].append(Record(topic, 0, None, topic.pack([change])))

    def feed_frozen(self, key: bytes, value: bytes | None) -> None:
        """A record of topic ``frozen-orders``."""
        self._waiting[self.topics.orders].append(Record(self.topics.frozen_orders, 0, key, value))

    def work(self) -> None:
        """Apply everything that was fed, and what follows from it.

        Raises:
            StoreError: the disk fails.
        """
        while topics := [topic for topic, records in self._waiting.items() if records]:
            for topic in topics:
                records = self._waiting[topic]
                some = [records.popleft() for _ in range(min(_TOGETHER, len(records)))]
                if not self._apply(topic, some):
                    for record in some:
                        self._apply(topic, [record], alone=True)

    def held_orders(self) -> set[int]:
        """The orders of which it is not known what is wanted."""
        rows = self._tables[self.topics.orders].scan(0, PREFIX.encode())
        names = (key[len(PREFIX) :].decode() for key, value in rows if is_unknown(decode_reason(value)))
        return {int(name) for name in names if name.isdigit()}

    def close(self) -> None:
        """Close the state's files."""
        for table in self._tables.values():
            table.store(0).close()

    def _apply(self, topic: str, records: Sequence[Record], *, alone: bool = False) -> bool:
        """Let a stage handle records; False: it cannot, and nothing of them was done."""
        table = self._tables[topic]
        unit = UnitOfWork(0, 1, table, self._clock.now_us())
        try:
            self._handlers[topic].handle(unit, records)
            outputs = list(unit.outputs())
        except (OwddError, msgspec.MsgspecError, ValueError, TypeError, ArithmeticError) as error:
            if alone:
                self.failed[type(error).__name__] += 1
            return False
        if writes := unit.writes | unit.last_writes:
            table.store(0).write(writes, StorePosition())
        for effect in unit.after:
            effect()
        for (target, _), found in outputs:
            self._take(target, [(key, value) for key, value in found if value is not None])
        return True

    def _take(self, target: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        if target in self._handlers:
            self._waiting[target].extend(Record(target, 0, key, value) for key, value in records)
        elif target == self.topics.frozen_orders:
            for key, value in records:
                self.feed_frozen(key or b"", value)
        elif target == self.topics.desired:
            for _, value in records:
                for change in self.topics.desired.unpack(value):
                    self._want(change)

    def _want(self, change: Any) -> None:
        task = task_wanted(change)
        if task is None:
            return
        row = self.desired.setdefault(task, CODECS[family_of(task)].kind())
        match family_of(task):
            case Family.CONTACT:
                wanted.keep_contact(row, change.row, change.position)
            case Family.FOLLOW_UP:
                wanted.keep_follow_up(row, change.row)
            case _:
                # With its content, for field by field it is compared.
                record_state.set_desired_record(row, change.row, change.position)
