"""Names that every peer's process and the benchmark agree on."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.site import PARTITIONS
from bench.workload import PREFIX, TABLES, topic

STARTING = "contender: starting"
"""What a peer prints right before it joins its consumer group."""

SOURCES = [topic(PREFIX, table) for table in TABLES]

__all__ = ["PARTITIONS", "SOURCES", "STARTING", "Names", "bootstrap", "data"]


@dataclass(frozen=True, slots=True)
class Names:
    """A peer's group and topics."""

    group: str
    orders: str
    buyers: str
    contacts: str
    out: str

    @classmethod
    def of(cls, name: str) -> "Names":
        """The names for one run of one peer."""
        return cls(name, f"{name}.orders", f"{name}.buyers", f"{name}.contacts", f"{name}.out")

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
