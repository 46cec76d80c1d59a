"""State on disk beside its changelogs, row by row, once the workers have stopped.

Each store is brought to its changelog's end in memory, from the offset that it notes, and compared with the changelog read
from its beginning. So compaction, and directories whose partition moved away, are no differences.
"""

from dataclasses import dataclass
from pathlib import Path

import rocksdict
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.reader import read_to_end, reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, tables
from streams.settings import Settings

_OFFSET = b"__faust\0offset__"


@dataclass(frozen=True, slots=True)
class Compared:
    """Rows of one partition's changelog, and how many of its state are missing, extra or different."""

    table: str
    partition: int
    rows: int
    unlike: int


async def compare_state(settings: Settings, directory: Path) -> list[Compared]:
    """Every partition of every table found under ``directory``.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = []
    async with reader(KafkaConfig.of(settings)) as consumer:
        for app in (agents_app(settings), dispatch_app(settings)):
            for path in sorted(directory.glob(f"**/{app}/v1/tables/*-*.db")):
                table, _, partition = path.stem.rpartition("-")
                place = TopicPartition(tables(settings)[table], int(partition))
                found.append(await _compare(consumer, table, place, path))
    return found


async def _compare(consumer: AIOKafkaConsumer, table: str, place: TopicPartition, path: Path) -> Compared:
    offset, state = _read(path)
    logged: dict[bytes, bytes] = {}
    async for record in read_to_end(consumer, [place]):
        for rows in (logged, state) if record.offset > offset else (logged,):
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value
    unlike = sum(logged.get(key) != state.get(key) for key in logged.keys() | state.keys())
    return Compared(table, place.partition, len(logged), unlike)


def _read(path: Path) -> tuple[int, dict[bytes, bytes]]:
    """The changelog offset that a store notes (-1: none), and its rows."""
    options = rocksdict.Options(raw_mode=True)
    db = rocksdict.Rdict(str(path), options, access_type=rocksdict.AccessType.read_only(False))
    rows = dict(db.items())
    db.close()
    return int(rows.pop(_OFFSET, b"-1")), rows
