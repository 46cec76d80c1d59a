"""Read-back against the sandbox: who is told of, when, and that nobody is missed over failures and restarts."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import cast

import httpx
import pytest
from pydantic import SecretStr

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.policies import client_config
from streams.dispatch.readback import OVERLAP, Readback, ReadbackTopic, ReadbackTurn
from streams.domain.versioned import version_bytes
from streams.dotdigital.client import Api, Call, DotdigitalClient
from streams.dotdigital.contact_pages import ContactPage
from streams.dotdigital.errors import DataError
from streams.kafka.producer import BatchProducer
from streams.messages.changes import Change, ChangeKind, ContactObserved, ReadbackWatermark, partition_of
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings
from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from testkit.sandbox.store import Contact
from tests.wire import unpack

TOPICS = Topics.of("t")
PARTITIONS = 4
INTERVAL = 300.0
CALLS = ["list-contacts", "unsubscribed-since", "suppressed-since"]


class BrokerGone(Exception):
    """The producer's failure."""


@dataclass
class Topic:
    """Stands in for the producer: what arrived, partition by partition, in order."""

    published: list[tuple[int, Change]] = field(default_factory=list)
    refuses: bool = False

    async def send(self, topic: str, partition: int, entries: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        assert topic == TOPICS.desired
        await asyncio.sleep(0)
        if self.refuses:
            raise BrokerGone
        self.published += [(partition, change) for _, value in entries for change in unpack(value or b"")]
        return 0

    def found(self) -> dict[str, str]:
        """The status that was told last, by address."""
        return {change.key: change.row.status for _, change in self.published if isinstance(change.row, ContactObserved)}

    def marks(self) -> list[tuple[int, int]]:
        return [
            (partition, change.row.upto) for partition, change in self.published if isinstance(change.row, ReadbackWatermark)
        ]


class Site:
    """A sandbox account, the reader of it, and what it told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        moment = lambda: datetime.fromtimestamp(self.clock.now_us() / 1_000_000, UTC)  # noqa: E731
        self.box: SandboxApp = create_app(SandboxConfig("api-user", "password-1"), clock=moment)
        self.calls: list[str] = []
        settings = Settings(
            dotdigital_url="http://sandbox", dotdigital_user="api-user", dotdigital_password=SecretStr("password-1")
        )
        self.client = DotdigitalClient(client_config(settings), self.seen, httpx.ASGITransport(self.box))
        self.topic, self.leads = Topic(), True
        self.metrics = Metrics()
        self.readback = self.worker()

    def seen(self, call: Call) -> None:
        self.calls.append(str(call.operation))

    def worker(self, mark: int | None = None, interval: float = INTERVAL) -> Readback:
        """A worker whose partitions remember ``mark``."""
        return Readback(
            self.client.for_lane(Lane.BULK),
            ReadbackTopic(cast(BatchProducer, self.topic), TOPICS.desired, PARTITIONS),
            ReadbackTurn(interval, lambda: self.leads, lambda: mark),
            self.clock,
            self.metrics,
            Random(7),
        )

    def add(self, name: str, status: str = "subscribed") -> Contact:
        made = self.box.store.create({"email": f"{name}@example.com"})
        made.set_email_status(status, self.box.store.now())
        return made

    def now(self) -> int:
        return self.clock.now_ms() // 1000

    def value(self, metric: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(metric, labels)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    async with made.client:
        yield made


@pytest.fixture
async def read_site(site: Site) -> Site:
    """A site that was read once and forgot what was told."""
    site.add("ann")
    site.clock.advance(OVERLAP + 1)
    await site.readback.look()
    site.clock.advance(INTERVAL)
    site.topic.published.clear()
    site.calls.clear()
    return site


async def test_the_first_reading_reports_every_contact(site: Site) -> None:
    ann, bob = site.add("ann"), site.add("bob", "suppressed")
    await site.readback.look()
    published = {
        change.key: (place, change) for place, change in site.topic.published if change.kind is ChangeKind.CONTACT_OBSERVED
    }
    place, change = published["ann@example.com"]
    assert place == partition_of("ann@example.com", PARTITIONS)
    assert (change.pk, change.lane, change.row) == (ann.id, Lane.BULK, ContactObserved(ann.id, "subscribed"))
    assert change.position == version_bytes(site.now() * 1_000_000)
    assert published["bob@example.com"][1].row == ContactObserved(bob.id, "suppressed")
    assert published["bob@example.com"][1].lane == Lane.URGENT
    assert site.calls == ["list-contacts"]


async def test_a_contact_without_an_address_is_left_out(site: Site) -> None:
    site.box.store.create({"mobileNumber": "447700900123"})
    await site.readback.look()
    assert not site.topic.found()


async def test_every_partition_is_reported_how_far_the_reading_went(site: Site) -> None:
    site.add("ann")
    await site.readback.look()
    kinds = [change.kind for _, change in site.topic.published]
    assert kinds == [ChangeKind.CONTACT_OBSERVED] + [ChangeKind.READBACK_WATERMARK] * PARTITIONS, (
        "a mark is proof that everything before it is durable"
    )
    assert sorted(site.topic.marks()) == [(partition, site.now()) for partition in range(PARTITIONS)]


async def test_a_later_reading_reports_what_changed(read_site: Site) -> None:
    read_site.add("bob")
    await read_site.readback.look()
    assert read_site.topic.found() == {"bob@example.com": "subscribed"}
    assert read_site.calls == CALLS


async def test_a_later_reading_begins_before_the_last_mark(site: Site) -> None:
    site.add("ann")
    site.clock.advance(OVERLAP)
    await site.readback.look()
    site.topic.published.clear()
    site.clock.advance(INTERVAL)
    await site.readback.look()
    assert site.topic.found() == {"ann@example.com": "subscribed"}


@pytest.mark.parametrize("status", ["unsubscribed", "suppressed", "ispComplained"])
async def test_a_refusal_that_does_not_count_as_a_modification_is_reported(read_site: Site, status: str) -> None:
    contact = read_site.box.store.find("email", "ann@example.com")
    assert contact is not None
    contact.set_email_status(status, read_site.box.store.now())
    await read_site.readback.look()
    assert read_site.topic.found() == {"ann@example.com": status.lower()}


async def test_a_reading_waits_for_its_time(site: Site) -> None:
    await site.readback.look()
    site.clock.advance(INTERVAL - 1)
    await site.readback.look()
    assert len(site.calls) == 1
    site.clock.advance(1)
    await site.readback.look()
    assert site.calls[1:] == CALLS


async def test_only_the_one_that_leads_reads(site: Site) -> None:
    site.leads = False
    await site.readback.look()
    assert not site.calls


async def test_an_interval_of_nothing_switches_it_off(site: Site) -> None:
    await site.worker(interval=0.0).look()
    assert not site.calls


async def test_a_restart_goes_on_from_the_mark(read_site: Site) -> None:
    read_site.add("bob")
    await read_site.worker(mark=read_site.now() - 300).look()
    assert read_site.topic.found() == {"bob@example.com": "subscribed"}


async def test_a_failed_reading_goes_on_at_its_last_page(site: Site) -> None:
    for number in range(5001):
        site.add(f"c{number}")
    site.box.faults.update({"next": ["none", "http_503"]})
    began = site.now()
    assert 0 < await site.readback.look() <= 2
    assert not site.topic.marks()
    site.clock.advance(2)
    await site.readback.look()
    published = [change.key for _, change in site.topic.published if change.kind is ChangeKind.CONTACT_OBSERVED]
    assert len(published) == len(set(published)) == 5001
    assert site.calls == ["list-contacts"] * 3
    assert {upto for _, upto in site.topic.marks()} == {began}, "what changed meanwhile is read next time"
    assert site.value("owdd_readback_contacts_total", listing="modified") == 5001


async def test_failures_in_a_row_wait_longer_and_longer(site: Site) -> None:
    site.box.faults.update({"outage": True})
    waits = [await site.readback.look() for _ in range(12)]
    assert max(waits[:2]) < 5 < max(waits[6:]) <= 60
    site.box.faults.update({"outage": False})
    await site.readback.look()
    assert site.topic.marks()


async def test_a_used_up_budget_is_waited_for(site: Site) -> None:
    site.box.faults.update({"next": ["http_429"], "reset_seconds": 40.0})
    assert 40 <= await site.readback.look() <= 42


async def test_a_marker_that_expired_begins_at_the_first_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5001):
        site.add(f"c{number}")
    bulk, tried = site.client.for_lane(Lane.BULK), list[str | None]()
    listing = type(bulk).contacts_since

    async def forgetful(calls: Api, modified: int | None, *, marker: str | None = None) -> AsyncIterator[ContactPage]:
        tried.append(marker)
        if marker is not None:
            raise DataError("list-contacts", "contacts:invalidValue")
        async for page in listing(calls, modified):
            yield page

    monkeypatch.setattr(type(bulk), "contacts_since", forgetful)
    site.box.faults.update({"next": ["none", "http_503"]})
    for _ in range(3):
        await site.readback.look()
    assert [marker is None for marker in tried] == [True, False, True]
    assert len(site.topic.found()) == 5001 and site.topic.marks()


async def test_what_cannot_be_written_down_ends_the_worker_without_a_mark(site: Site) -> None:
    site.add("ann")
    site.topic.refuses = True
    with pytest.raises(BrokerGone):
        await site.readback.run()
    assert not site.topic.marks()


async def test_who_asks_gets_a_reading_that_began_afterwards(read_site: Site) -> None:
    read_site.add("bob")
    assert await read_site.readback.request() == read_site.now()
    assert read_site.topic.found() == {"bob@example.com": "subscribed"}


async def test_who_asks_while_one_is_under_way_waits_for_the_next_and_shares_it(read_site: Site) -> None:
    first = asyncio.create_task(read_site.readback.request())
    while not read_site.calls:
        await asyncio.sleep(0)
    await asyncio.gather(read_site.readback.request(), read_site.readback.request())
    assert first.done() and read_site.calls == CALLS * 2


async def test_the_age_grows_until_the_next_reading(site: Site) -> None:
    site.clock.advance(70)
    site.readback.observe()
    assert site.value("owdd_readback_age_seconds") == 70, "nothing was read since the start"
    await site.readback.look()
    site.clock.advance(5)
    site.readback.observe()
    assert site.value("owdd_readback_age_seconds") == 5
