"""Names that every peer's process and the benchmark agree on."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.workload import TABLES, topic

STARTING = "contender: starting"
"""What a peer prints right before it joins its consumer group."""

IDLE = "idle"
"""Prefix of captured topics that stay empty: what it costs to start is measured on them."""


RESULT = "result.jsonl"
"""Where a contender without an output topic leaves its contacts, each with ``email``, ``count`` and ``spend``."""


@dataclass(frozen=True, slots=True)
class Names:
    """A peer's group and topics."""

    group: str
    orders: str
    buyers: str
    contacts: str
    out: str

    @property
    def between(self) -> tuple[str, str, str]:
        """The topics that it writes for itself."""
        return self.orders, self.buyers, self.contacts

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that it writes."""
        return *self.between, self.out

    @property
    def changelogs(self) -> tuple[str, ...]:
        """What Faust calls the changelogs of its tables.

        Made beforehand: an agent that starts before the metadata shows a changelog that Faust has just made crashes with
        ``PartitionsMismatch``, and the event in its hand is acknowledged all the same.
        """
        return tuple(f"{self.group}-{table}-changelog" for table in ("orders", "buyers", "contacts"))

    @classmethod
    def of(cls, name: str) -> "Names":
        """The names for one run of one peer."""
        return cls(name, f"{name}.orders", f"{name}.buyers", f"{name}.contacts", f"{name}.out")

    @classmethod
    def of_kafka_streams(cls, name: str) -> "Names":
        """As Kafka Streams calls the topics between its stages."""
        orders, buyers, contacts = (f"{name}-{stage}-repartition" for stage in ("orders", "buyers", "contacts"))
        return cls(name, orders, buyers, contacts, f"{name}.out")

    @classmethod
    def here(cls) -> "Names":
        """The names of this process."""
        return cls.of(os.environ["BENCH_NAME"])


def bootstrap() -> str:
    """Where Kafka is."""
    return os.environ["BENCH_BOOTSTRAP"]


def data() -> Path:
    """This process's own directory."""
    return Path(os.environ["BENCH_DATA"])


def sources(prefix: str) -> list[str]:
    """The captured topics that peers read."""
    return [topic(prefix, table) for table in TABLES]


def my_sources() -> list[str]:
    """The captured topics of this process."""
    return sources(os.environ["BENCH_PREFIX"])
