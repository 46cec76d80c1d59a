"""Whether a captured record is one of those that a replay selects."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from streams.capture.envelope import RowEvent, decode
from streams.capture.rows import Header
from streams.core.errors import RecordError
from streams.domain.orders import customer_key
from streams.ingest.router import Router
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, Change
from streams.messages.dead_letters import keyed_hash
from streams.messages.replays import ReplaySelection
from streams.messages.topics import Topics
from streams.operations.dlq_entry import names_in
from streams.settings import Settings

_FIRST_WITH_EXPONENT = 10**7
"""From here on Java writes a number of a float column as 1.2345678E7, without its digits in a row."""
_EXPONENT = re.compile(rb"[0-9][Ee][0-9]")

Condition: TypeAlias = Callable[[Any], bool]


class ReplayMatcher:
    """The conditions of one selection, the cheap ones first; records are aiokafka's, of captured topics."""

    def __init__(self, settings: Settings, mapping: Mapping, selection: ReplaySelection) -> None:
        topics = Topics.of(settings.app_id, settings.generation)
        self._orders, self._buyers = topics.orders, topics.buyers
        self._router = Router(mapping, topics)
        self._epoch = mapping.source.epoch
        self._hash_key = settings.hash_key.get_secret_value().encode()
        self._selection = selection
        self._conditions: list[Condition] = [
            condition
            for given, condition in (
                (selection.first, self._not_before),
                (selection.last, self._not_behind),
                (selection.since, self._young_enough),
                (selection.until, self._old_enough),
                (selection.keys or None, self._named),
                (selection.order, self._of_order),
                (selection.customer, self._of_customer),
            )
            if given is not None
        ]

    def matches(self, record: Any) -> bool:
        """Whether everything that was selected applies to the record."""
        return all(condition(record) for condition in self._conditions)

    def _not_before(self, record: Any) -> bool:
        return bool(record.offset >= (self._selection.first or 0))

    def _not_behind(self, record: Any) -> bool:
        return self._selection.last is None or bool(record.offset <= self._selection.last)

    def _young_enough(self, record: Any) -> bool:
        return bool(record.timestamp >= (self._selection.since or 0))

    def _old_enough(self, record: Any) -> bool:
        return self._selection.until is None or bool(record.timestamp <= self._selection.until)

    def _named(self, record: Any) -> bool:
        return any(keyed_hash(name, self._hash_key) in self._selection.keys for name in names_in(record.key, record.value))

    def _of_order(self, record: Any) -> bool:
        order = str(self._selection.order)
        return self._may_name(record, order) and any(
            topic == self._orders and change.key == order for topic, change in self._changes(record)
        )

    def _of_customer(self, record: Any) -> bool:
        number = self._selection.customer or 0
        return self._may_name(record, str(number)) and any(
            (topic == self._buyers and change.key == customer_key(number))
            or (isinstance(change.row, Header) and change.row.customer == number)
            for topic, change in self._changes(record)
        )

    @staticmethod
    def _may_name(record: Any, number: str) -> bool:
        """Cheap, and true of every record that names the number: reading a record costs a hundred times as much."""
        digits, key, value = number.encode(), record.key or b"", record.value or b""
        if digits in value or digits in key:
            return True
        return int(number) >= _FIRST_WITH_EXPONENT and bool(_EXPONENT.search(value) or _EXPONENT.search(key))

    def _changes(self, record: Any) -> list[tuple[str, Change]]:
        try:
            event = decode(record.key, record.value, self._epoch)
            routed = list(self._router.route(event, record.timestamp)) if isinstance(event, RowEvent) else []
        except RecordError:
            # It is a dead letter, and belongs to nothing until it can be read.
            return []
        return [(topic, change) for topic, change in routed if change.key != EVERYWHERE]
