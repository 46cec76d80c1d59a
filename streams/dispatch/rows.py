"""The rows of tasks, as they were committed last, for those who send."""

from collections.abc import Iterator
from typing import Any

from streams.dispatch.outbox import CODECS
from streams.dispatch.tasks import Family, family_of, part_of, task_of
from streams.engine.table import StateTable


class Rows:
    """Reads the outbox."""

    def __init__(self, table: StateTable) -> None:
        self._table = table

    def get(self, task: str, partition: int) -> Any:
        """A task's row; None when there is none, or the partition is another worker's by now."""
        if partition not in self._table.owned():
            return None
        codec = CODECS[family_of(task)]
        value = self._table.get(partition, codec.key(task))
        return None if value is None else codec.decode(value)

    def records(self, email: str, partition: int) -> Iterator[str]:
        """The keys of a contact's order records, delivered or not."""
        for key, _ in self._table.scan(partition, task_of(Family.RECORD, email, "").encode()):
            yield part_of(key.decode())
