"""Compare the state on disk with its changelogs, row by row.

State must be its changelog, always. What older versions wrote may have holes: rows that their recovery lost. Each store is
brought to the changelog's end in memory and compared with the changelog read from its beginning; the disk is only read, so
workers may run.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.clock import Clock
from streams.core.errors import ConfigurationError
from streams.engine.recovery import changelog_reader, recover
from streams.engine.store import StorePosition, read_only
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, tables
from streams.settings import Settings

_FOR_EVER_MS = 10**15
"""A retention that no state is too old for: a hole must be seen, not read over."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One partition of one table in one data directory; counts only, for rows are people.

    Attributes:
        rows: rows in the changelog.
        behind: changelog records that the state did not have yet; they were applied before it was compared.
        missing: rows that the changelog has and the state lacks.
        extra: rows that the state has and the changelog lacks.
        different: rows with another content.
        ahead: records that the state has and the changelog lost (its tail is gone).
    """

    table: str
    partition: int
    directory: str
    rows: int
    behind: int
    missing: int
    extra: int
    different: int
    ahead: int

    @property
    def unlike(self) -> int:
        """Rows in which state and changelog differ."""
        return self.missing + self.extra + self.different

    @property
    def equal(self) -> bool:
        """Whether state and changelog agree."""
        return not (self.unlike or self.ahead)


class Digests:
    """The rows of one partition in memory, as far as they must be known to be compared: key and digest of the value."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]] = (), note: StorePosition | None = None) -> None:
        self.note = note or StorePosition()
        self.rows = {key: _digest(value) for key, value in rows}

    def write(self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()) -> None:
        """Apply ``writes``; what an outdated writer left is skipped."""
        del stale
        for key, value in writes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = _digest(value)
        self.note = note

    async def write_in_turn(
        self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()
    ) -> None:
        """The same: memory takes it at once."""
        self.write(writes, note, stale=stale)

    def verify(self) -> bool:
        """Nothing can come between memory and memory."""
        return True

    def empty(self) -> None:
        """Forget everything."""
        self.rows.clear()
        self.note = StorePosition()


async def check_state(settings: Settings, clock: Clock) -> AsyncIterator[Compared]:
    """Every partition of every table that is found in the data directory, or in those of workers that share it.

    Raises:
        ConfigurationError: there is no state in the data directory.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = sorted(_found(settings))
    if not found:
        raise ConfigurationError(f"{settings.data_dir}: no state of {settings.app_id} version {settings.app_version}")
    async with changelog_reader(KafkaConfig.of(settings)) as reader:
        for table, partition, path in found:
            place = TopicPartition(tables(settings)[table], partition)
            yield await _compare(reader, table, place, path, clock)


def _found(settings: Settings) -> Iterator[tuple[str, int, Path]]:
    for app in (agents_app(settings), dispatch_app(settings)):
        for directory in settings.data_dir.glob(f"**/{app}/v1/tables"):
            for path in directory.glob("*-*.db"):
                table, _, partition = path.stem.rpartition("-")
                if table in tables(settings) and partition.isdigit():
                    yield table, int(partition), path


async def _compare(reader: AIOKafkaConsumer, table: str, place: TopicPartition, path: Path, clock: Clock) -> Compared:
    note, rows = read_only(path)
    state, logged = Digests(rows, note), Digests()
    end = await _follow(reader, place, logged, clock)
    ahead, behind = max(0, note.offset + 1 - end), max(0, end - note.offset - 1)
    if not ahead:
        await _follow(reader, place, state, clock)
    both = logged.rows.keys() & state.rows.keys()
    return Compared(
        table,
        place.partition,
        str(path.parents[3]),
        rows=len(logged.rows),
        behind=behind,
        missing=len(logged.rows) - len(both),
        extra=len(state.rows) - len(both),
        different=sum(logged.rows[key] != state.rows[key] for key in both),
        ahead=ahead,
    )


async def _follow(reader: AIOKafkaConsumer, place: TopicPartition, rows: Digests, clock: Clock) -> int:
    """Bring ``rows`` to the log's end, which is returned."""
    async with aclosing(recover(reader, {place: rows}, clock, _FOR_EVER_MS)) as found:
        recovered = await anext(found)
        return recovered.end


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()
