"""Where a snapshot's row stands that Debezium could give no place in the log."""

from aiokafka import TopicPartition
from msgspec.structs import replace
from prometheus_client import Counter

from streams.capture.envelope import RowEvent
from streams.capture.position import BEFORE_EVERYTHING, just_before


class NewestPositions:
    """The newest position of every captured partition, up to the record that was read last.

    While CDC has captured no commit, ``source.commit_lsn`` of a snapshot is null: before the first start, when nothing was
    streamed, and after CDC was taken off the database and put on again, when everything was. A key's records are all in one
    partition and in order, and the log goes on from where it was. So such a row stands where the newest record before it stood:
    it replaces all of them, and every later change replaces it.

    Each commit carries the newest position up to its offset, for the process that goes on there. Records that are read again
    begin with that position and not with a later one: else such a row would replace a change of its key that follows it.
    """

    def __init__(self, unplaced: Counter) -> None:
        """``unplaced`` counts rows, by topic, before which nothing of the partition was read, as far as is known."""
        self._unplaced = unplaced
        self._newest: dict[TopicPartition, bytes] = {}

    def begin(self, place: TopicPartition, newest: bytes) -> None:
        """The partition goes on behind a record with this newest position; empty: it is not known."""
        if newest:
            self._newest[place] = newest
        else:
            self._newest.pop(place, None)

    def newest(self, place: TopicPartition) -> bytes:
        """The newest position of the partition so far; empty if nothing of it was read."""
        return self._newest.get(place, b"")

    def placed(self, place: TopicPartition, event: RowEvent) -> RowEvent:
        """The event, in the place of the newest one if it has none."""
        newest = self._newest.get(place)
        if not event.position.endswith(BEFORE_EVERYTHING):
            self._newest[place] = event.position if newest is None else max(newest, event.position)
            return event
        if newest is None:
            self._unplaced.labels(place.topic).inc()
            return event
        return event if newest < event.position else replace(event, position=newest)


def retried(event: RowEvent, newest: bytes) -> RowEvent:
    """A dead-lettered event that is read again, where it stands among the versions of its row.

    ``newest`` is the newest position of its partition when it was set aside: the place of a snapshot's row that has none.
    """
    if event.position.endswith(BEFORE_EVERYTHING):
        return replace(event, position=max(newest, event.position))
    return replace(event, position=just_before(event.position))
