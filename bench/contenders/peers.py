"""The peers of the join: how each is run, what it reads and writes, and how its contacts are read when it is done."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from sys import executable
from typing import Any

import orjson

from bench.child import Child
from bench.contenders import kafka_streams, pathway_environment
from bench.contenders.common import IDLE, RESULT, STARTING, Names, sources
from bench.drain import Flow
from bench.measure import Begun, says
from bench.site import Site
from bench.workload import PREFIX, TABLES, topic

FAUST, QUIX, BARE = "stock Faust", "quixstreams", "bare aiokafka loop"
STREAMS, STREAMS_ONCE = "Kafka Streams", "Kafka Streams, exactly once"
PATHWAY_MEMORY, PATHWAY, PATHWAY_KEPT = "Pathway, to a file", "Pathway, to Kafka", "Pathway, to Kafka, persistent"

Contacts = dict[str, Mapping[str, Any]]
"""Documents by address."""

_COMMIT_MS = {"at_least_once": "5000", "exactly_once_v2": "100"}
"""At least once: as often as quixstreams, where Kafka Streams would wait for 30 s; exactly once: its default."""
_AT_START = says(STARTING)
_UNREAD = "order_status"
"""A table that only says what the words mean: a typed reader leaves it out."""


class Out(Enum):
    """Where a peer's contacts are: in its output topic, in a file that grows, or in a file that it leaves at its end."""

    TOPIC = auto()
    FILE = auto()
    LEFT = auto()


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender that is not ours. ``between``: it has topics of its own between the stages; ``reads_all``: of the tables."""

    label: str
    name: str
    command: tuple[str, ...]
    begun: Begun = _AT_START
    env: Mapping[str, str] = field(default_factory=dict)
    names: Callable[[str], Names] = Names.of
    between: bool = True
    reads_all: bool = True
    out: Out = Out.TOPIC
    changelogs_first: bool = False

    async def child(self, site: Site, run: str, prefix: str = PREFIX) -> Child:
        """Its process for one run over the captured topics of ``prefix``, with its topics made."""
        names = self.names(f"{self.name}{run}")
        await site.create(names.topics if self.between else (names.out,))
        if self.changelogs_first:
            await site.create(names.changelogs, cleanup_policy="compact")
        return site.peer(names.group, self.command, program=(), BENCH_PREFIX=prefix, **self.env)

    async def idle_child(self, site: Site, run: str) -> Child:
        """The same over topics that stay empty."""
        return await self.child(site, f"-{IDLE}{run}", IDLE)

    def flow(self, site: Site, run: str) -> Flow:
        """What it reads and writes in a run."""
        names = self.names(f"{self.name}{run}")
        read = sources(PREFIX) if self.reads_all else [topic(PREFIX, table) for table in TABLES if table != _UNREAD]
        inputs = {names.group: (*read, *(names.between if self.between else ()))}
        return Flow(
            inputs,
            (names.out,) if self.out is Out.TOPIC else (),
            self._file(site, run) if self.out is Out.FILE else None,
        )

    async def contacts(self, site: Site, run: str) -> Contacts:
        """The contacts of a run that is over."""
        found: Contacts = {}
        if self.out is Out.TOPIC:
            async for key, value in site.read(self.names(f"{self.name}{run}").out):
                _add(found, orjson.loads(value or b"{}"), (key or b"").decode())
        else:
            for line in self._file(site, run).read_bytes().splitlines():
                _add(found, orjson.loads(line), "")
        return found

    def _file(self, site: Site, run: str) -> Path:
        return site.directory / "data" / f"{self.name}{run}" / RESULT


def _add(found: Contacts, contact: Mapping[str, Any], key: str) -> None:
    # Pathway writes what is no longer so, too, as a difference of -1.
    if contact.get("diff", 1) > 0:
        found[contact.get("email", key)] = contact


def peers(directory: Path, wanted: Iterable[str] = ()) -> list[Peer]:
    """The peers of the labels ``wanted``, all if there are none; what they need is installed or compiled in ``directory``.

    Raises:
        PeerUnavailable: one of them cannot be installed here.
    """
    labels = set(wanted) or set(LABELS)
    found = [peer for peer in _python() if peer.label in labels]
    if labels & {STREAMS, STREAMS_ONCE}:
        found += [peer for peer in _kafka_streams(directory) if peer.label in labels]
    if labels & {PATHWAY_MEMORY, PATHWAY, PATHWAY_KEPT}:
        found += [peer for peer in _pathway() if peer.label in labels]
    return found


LABELS = (FAUST, QUIX, BARE, STREAMS, STREAMS_ONCE, PATHWAY_MEMORY, PATHWAY, PATHWAY_KEPT)


def _python() -> list[Peer]:
    faust = (executable, "-m", "faust", "-A", "bench.contenders.faust_join", "-L", "uvloop", "worker", "-l", "info")
    return [
        Peer(FAUST, "faust", (*faust, "--without-web"), says("[^-App]: Starting"), changelogs_first=True),
        Peer(QUIX, "quix", (executable, "-m", "bench.contenders.quix_join")),
        Peer(BARE, "bare", (executable, "-m", "bench.contenders.bare_join"), between=False, out=Out.LEFT),
    ]


def _kafka_streams(directory: Path) -> list[Peer]:
    command = tuple(kafka_streams.program(directory / "kafka-streams"))

    def peer(label: str, name: str, guarantee: str) -> Peer:
        env = {"BENCH_GUARANTEE": guarantee, "BENCH_COMMIT_MS": _COMMIT_MS[guarantee]}
        return Peer(label, name, command, env=env, names=Names.of_kafka_streams, reads_all=False)

    return [peer(STREAMS, "streams", "at_least_once"), peer(STREAMS_ONCE, "streams-once", "exactly_once_v2")]


def _pathway() -> list[Peer]:
    command = (pathway_environment.python(), "-m", "bench.contenders.pathway_join")

    def peer(label: str, way: str, out: Out = Out.TOPIC) -> Peer:
        env = {"BENCH_PATHWAY": way}
        return Peer(label, f"pathway-{way}", command, env=env, between=False, reads_all=False, out=out)

    return [peer(PATHWAY_MEMORY, "memory", Out.FILE), peer(PATHWAY, "kafka"), peer(PATHWAY_KEPT, "persistent")]
