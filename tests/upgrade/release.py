"""A shop in the middle of its day: state, waiting records and mapping as one release wrote them, and the rest of the day.

``python -m tests.upgrade.release`` writes the file of the release that is checked out: run it once for a release, and never
again. The shop has no products, whose state the fixture does not have.
"""

import gzip
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams.capture.envelope import RowEvent, decode
from streams.engine.stage import Record
from streams.kafka.producer import Headers
from streams.mapping import Mapping
from streams.messages.site_setup import FORMATS
from testkit.simulate import Simulation, SimulationConfig
from tests.agents.pipeline import STAGES, TOPICS, Pipeline
from tests.dispatch.outbox_harness import A, Outbox
from tests.testkit.oracle.test_oracle_pipeline import Chain, shop_site

HERE = Path(__file__).parent
FILE = "release-{}.msgpack.gz"
_PUMPED_EVERY = 20
"""Captured records between two rests: the state has seen late and repeated ones."""


class Release(msgspec.Struct, kw_only=True):
    """What one release wrote.

    Attributes:
        mapping: the site's, as JSON.
        state: rows by topic of the stage.
        waiting: records that the stages had not read yet.
        desired: what had been emitted to dispatch.
        events: captured records of the rest of the day, key and value.
        truth: the shop's tables at the end, their history, and who ever opted in, as JSON.
        outbox: rows of an outbox that waits with one contact.
    """

    version: str
    formats: dict[str, int]
    mapping: bytes
    state: dict[str, dict[bytes, bytes]]
    waiting: dict[str, list[bytes]]
    desired: list[bytes]
    events: list[tuple[bytes, bytes | None]]
    truth: bytes
    outbox: dict[bytes, bytes]

    @property
    def site(self) -> Mapping:
        """The mapping, as this release reads it."""
        return Mapping.model_validate(orjson.loads(self.mapping))


class Noted(Pipeline):
    """A pipeline that notes what it emits to dispatch."""

    noted: list[bytes]

    def __init__(self, mapping: Mapping) -> None:
        self.noted = []
        super().__init__(mapping)

    def _append(self, topic: str, values: Sequence[bytes], headers: Headers) -> None:
        if topic == TOPICS.desired:
            self.noted.extend(values)
        super()._append(topic, values, headers)

    def continue_from(self, release: Release) -> None:
        """Take over where ``release`` stopped."""
        for topic, rows in release.state.items():
            self.state[topic].rows.update(rows)
        self.restart()
        self._append(TOPICS.desired, release.desired, [])
        for topic, values in release.waiting.items():
            self.queues[topic].extend(Record(topic, 0, None, value) for value in values)


class Shop(Chain):
    """A chain over a pipeline that notes."""

    def __init__(self, mapping: Mapping) -> None:
        super().__init__(mapping)
        self.stages: Noted = Noted(mapping)

    def play(self, events: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Take captured records."""
        for number, (key, value) in enumerate(events, 1):
            event = decode(key, value)
            if isinstance(event, RowEvent):
                self.take(event)
            if number % _PUMPED_EVERY == 0:
                self.stages.pump()


def read(file: Path) -> Release:
    """The file of one release."""
    return msgspec.msgpack.decode(gzip.decompress(file.read_bytes()), type=Release)


def write() -> Path:
    """The file of the release that is checked out."""
    site = shop_site(1)
    mapping = site.model_copy(update={"products": None, "delivery": site.delivery.model_copy(update={"catalogue": None})})
    simulation = Simulation(
        SimulationConfig(
            mapping=mapping, seed=1, customers=20, orders=70, duplicates=0.1, replays=1, shuffle=True, consent=True
        )
    )
    events = [(record.key, record.value) for record in simulation.events()]
    half = len(events) // 2
    shop = Shop(mapping)
    shop.play(events[:half])
    truth = simulation.truth()
    facts: dict[str, Any] = {"tables": truth.tables, "history": truth.history, "opted_in_ever": sorted(truth.opted_in_ever)}
    outbox = Outbox()
    outbox.feed(outbox.wanted(A))
    release = Release(
        version=version("owdd"),
        formats=FORMATS,
        mapping=orjson.dumps(mapping.model_dump(mode="json", by_alias=True), default=str),
        state={topic: shop.stages.state[topic].rows for topic in STAGES},
        waiting={topic: [record.value or b"" for record in queue] for topic, queue in shop.stages.queues.items()},
        desired=shop.stages.noted,
        events=events[half:],
        truth=orjson.dumps(facts, default=str),
        outbox=outbox.rows.rows,
    )
    file = HERE / FILE.format(release.version)
    file.write_bytes(gzip.compress(msgspec.msgpack.encode(release), mtime=0))
    return file


if __name__ == "__main__":
    write()
