"""The story of one contact, over two workers' ports: who answers, what is shown, who is refused."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.core.errors import ConfigurationError
from streams.dispatch.outbox.tasks import Family, task_of
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, set_desired
from streams.domain.order_record import key as record_key
from streams.domain.record_state import RecordDeliveryState, apply_record_result, set_desired_record
from streams.engine.row_index import Lookup
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.messages.changes import DesiredRecord, partition_of
from streams.messages.deliveries import ContactCreated, RecordStored, TaskParked, write_event
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.operations.lookups import lookup_of
from streams.operations.state_client import StateUnavailableError
from streams.operations.state_page import state_page
from streams.operations.state_queries import MOST_ORDERS, BuyerQuery, BuyerReply
from streams.operations.state_replies import StateReplies
from streams.operations.story import Story
from streams.operations.story_reading import Stories
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from testkit.local_services.ports import free_port
from tests.agents import pipeline
from tests.agents.pipeline import ANN, BOB, HOUSE, Pipeline
from tests.served import served

TOKEN = "a token of the test"
# Other tests have the captured topics of the default mapping.
MAPPING = pipeline.MAPPING.model_copy(
    update={"source": pipeline.MAPPING.source.model_copy(update={"topic_prefix": f"story-{uuid4().hex[:8]}"})}
)
AT = 1_750_000_000_000


@dataclass
class WorkerShare:
    """What one of two workers has of a table."""

    rows: dict[bytes, bytes]
    partition: int
    lookup: Lookup | None = None
    open: bool = True
    order: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order = sorted(self.rows)

    def owned(self) -> set[int]:
        return {self.partition} if self.open else set()

    def get(self, partition: int, key: bytes) -> bytes | None:
        assert partition == self.partition
        return self.rows.get(key)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        assert partition == self.partition
        return ((key, self.rows[key]) for key in self.order if key.startswith(prefix) and key > after)

    def find(self, partition: int, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        assert self.lookup is not None
        for key, value in self.scan(partition, self.lookup.prefix):
            if (term := self.lookup.term(key, value)) is not None and self.lookup.hash(term) == hash_:
                yield key, value


def owner(key: bytes) -> str:
    """What decides the partition of a stored row."""
    return key[1:].decode().partition("\0")[0]


def shared(table: str, rows: dict[bytes, bytes]) -> list[WorkerShare]:
    """The rows as two workers have them."""
    return [
        WorkerShare(
            {key: value for key, value in rows.items() if partition_of(owner(key), 2) == place},
            place,
            lookup_of(table, b"key"),
        )
        for place in (0, 1)
    ]


@dataclass
class Site:
    """Two workers with a shop's state between them."""

    settings: Settings
    workers: list[dict[str, WorkerShare]]
    events: int = 0

    async def read(self, email: str, **options: Any) -> Story:
        async with Stories(self.settings, MAPPING, "tester") as stories:
            return await stories.read(email, **options)

    def close_partition(self, table: str, key: str) -> None:
        self.workers[partition_of(key, 2)][table].open = False


def shop() -> Pipeline:
    """Ann has an account with two orders and a credit note, and bought on the house account; Bob's order is held."""
    found = Pipeline()
    found.pump(
        pipeline.LOOKUP,
        pipeline.customer(1, ANN),
        pipeline.person(7, 1, ANN, opted=True),
        pipeline.customer(2, BOB),
        pipeline.ORDER,
        pipeline.header(11, status=2) + pipeline.total(11, "32.50") + pipeline.despatch(11, 1, 1_700_001_000),
        pipeline.CREDIT,
        pipeline.header(30, HOUSE) + pipeline.detail(30, ANN) + pipeline.total(30, "5"),
        pipeline.header(40, 2, status=99) + pipeline.total(40, "8"),
    )
    return found


def outbox(found: Pipeline) -> dict[bytes, bytes]:
    """Ann's contact and one record were taken; Bob's contact was refused."""
    position, wanted = found.desired[ANN]
    ann = ContactDeliveryState()
    set_desired(ann, wanted, position)
    assert ann.hash is not None
    apply_result(
        ann, ContactCreated(at=AT, task=task_of(Family.CONTACT, ANN), digest=ann.hash, contact=77, created_as="subscribed")
    )
    ann.events = (0,)
    position, wanted = found.desired[BOB]
    bob = ContactDeliveryState()
    set_desired(bob, wanted, position)
    assert bob.hash is not None
    parked = TaskParked(at=AT, task=task_of(Family.CONTACT, BOB), digest=bob.hash, code="contacts:invalidValue", tries=3)
    apply_result(bob, parked)
    record = RecordDeliveryState()
    set_desired_record(record, DesiredRecord(b"{}", 11), b"1")
    assert record.hash is not None
    apply_record_result(record, RecordStored(at=AT, task="", digest=record.hash))
    record.events = (1,)
    encode = Codec("", object).encode
    keyed = {
        task_of(Family.CONTACT, ANN): ann,
        task_of(Family.CONTACT, BOB): bob,
        task_of(Family.RECORD, ANN, record_key("SO11")): record,
    }
    return {task.encode(): encode(row) for task, row in keyed.items()}


async def make_topics(settings: Settings, *names: str) -> None:
    """Those that a test needs: all of them are many for a broker that every test asks for some."""
    topics = Topics.of(settings.app_id)
    wanted = {str(getattr(topics, name)) for name in names}
    await apply_topics(
        KafkaConfig.of(settings), [spec for spec in specs(settings, MAPPING) if spec.name in wanted], execute=True
    )


@asynccontextmanager
async def workers(settings: Settings, state: list[dict[str, WorkerShare]]) -> AsyncIterator[Settings]:
    """Serve each share of the state on a port of its own."""
    async with AsyncExitStack() as stack:
        ports = []
        for tables in state:
            health = Health(Metrics())
            health.page(state_page(StateReplies(2, b"key", cast(dict[str, StateTable], tables)), TOKEN))
            ports.append(await stack.enter_async_context(served(health.app())))
        yield settings.model_copy(update={"workers": ",".join(f"127.0.0.1:{port}" for port in ports)})


@pytest.fixture
async def site(broker: Path) -> AsyncIterator[Site]:
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(
        app_id=f"story-{uuid4().hex[:8]}",
        partitions=2,
        kafka_bootstrap=running.bootstrap,
        state_token=SecretStr(TOKEN),
        hash_key=SecretStr("key"),
    )
    await make_topics(settings, "deliveries")
    found = shop()
    state: list[dict[str, WorkerShare]] = [{}, {}]
    names = dict(zip(("orders", "buyers", "contacts"), found.state.values(), strict=True))
    for name, rows in [*((name, rows.rows) for name, rows in names.items()), ("outbox", outbox(found))]:
        for place, share in enumerate(shared(name, rows)):
            state[place][name] = share
    async with client.producer(KafkaConfig.of(settings)) as producer:
        place = partition_of(ANN, 2)
        made = (
            ContactCreated(at=AT, task=task_of(Family.CONTACT, ANN), digest=b"d", contact=77, created_as="subscribed"),
            RecordStored(at=AT + 1000, task=task_of(Family.RECORD, ANN, "SO11"), digest=b"d"),
        )
        for event in made:
            await producer.send_and_wait(Topics.of(settings.app_id).deliveries, write_event(event), partition=place)
    async with workers(settings, state) as served:
        yield Site(served, state)


async def test_it_shows_every_input_with_position_and_rule_whichever_worker_has_it(site: Site) -> None:
    story = await site.read(ANN)
    assert (story.verdict.level, story.gaps) == ("right", [])
    lines = {line.name: line for line in story.fields}
    assert (lines["OW_ORDER_COUNT"].desired, lines["OW_ORDER_COUNT"].differs) == ("3", False)
    assert lines["OW_ORDER_COUNT"].origin == "house orders of this address, account ACC1"
    assert lines["FIRSTNAME"].desired == "First7"
    titles = {one.title: one for one in story.inputs}
    assert {"account ACC1", "contact 7", "order SO10", "order SO11", "credit note SO20", "order SO30"} <= titles.keys()
    assert titles["order SO11"].facts["status"] == "despatched"
    assert titles["order SO11"].position and titles["order SO11"].applied_at is not None
    assert titles["Orderwise"].facts == {"statement": "opted in"}
    assert {one.what: one.state for one in story.deliveries} == {"contact": "as wanted", "order record SO11": "as wanted"}
    calls = [moment.title for moment in story.timeline if moment.kind == "call"]
    assert calls == ["record stored (record SO11)", "contact created"]
    assert story.timeline == sorted(story.timeline, key=lambda moment: -moment.at)


async def test_what_is_set_aside_has_its_meaning_and_its_command(site: Site) -> None:
    story = await site.read(BOB)
    assert story.verdict.level == "attention"
    assert {(one.kind, one.code) for one in story.holds} == {("parked", "contacts:invalidValue")}
    assert all(one.words and one.remedy and one.command.startswith("owdd ") for one in story.holds)
    assert (await site.read("nobody@example.com")).verdict.level == "absent"


@pytest.mark.parametrize(
    ("text", "kind", "email"),
    [("ACC1", "account", ANN), ("acc1", "account", ANN), ("1", "account", ANN), ("SO30", "order", ANN), ("11", "order", ANN)],
)
async def test_a_contact_is_found_by_the_number_of_its_account_or_order(site: Site, text: str, kind: str, email: str) -> None:
    async with Stories(site.settings, MAPPING, "tester") as stories:
        result = await stories.search(text)
        assert (result.gaps, result.emails, {one.kind for one in result.found}) == ([], [email], {kind})
        assert (await stories.search("no such number")).found == []


async def test_what_no_worker_has_open_is_an_error_and_never_nothing(site: Site) -> None:
    site.close_partition("contacts", ANN)
    with pytest.raises(StateUnavailableError, match="contacts"):
        await site.read(ANN)
    site.workers[0]["orders"].open = False
    async with Stories(site.settings, MAPPING, "tester") as stories:
        assert (await stories.search("no such number")).gaps == ["orders: 1 of 2 partitions"]
    dead = site.settings.model_copy(update={"workers": f"127.0.0.1:{free_port()}"})
    with pytest.raises(StateUnavailableError, match="ConnectError"):
        await replace(site, settings=dead).read(ANN)


async def test_only_the_token_opens_the_state_and_each_reading_is_logged_by_hash(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"http://{site.settings.workers.split(',')[0]}/state"
    async with httpx.AsyncClient() as http:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert (await http.post(address, content=b"", headers=headers)).status_code == 401
        right = {"authorization": f"Bearer {TOKEN}"}
        assert (await http.post(address, content=b"nonsense", headers=right)).status_code == 400
        assert (await http.post(address, content=b"0" * 70_000, headers=right)).status_code == 413
    with pytest.raises(ConfigurationError, match="OWDD_STATE_TOKEN"):
        Stories(site.settings.model_copy(update={"state_token": SecretStr("")}), MAPPING, "tester")
    with caplog.at_level(logging.DEBUG):
        story = await site.read(ANN)
    assert story.email == ANN
    assert ANN not in caplog.text


async def test_the_commands_print_the_story(site: Site) -> None:
    environment = {
        "OWDD_APP_ID": site.settings.app_id,
        "OWDD_PARTITIONS": "2",
        "OWDD_KAFKA_BOOTSTRAP": site.settings.kafka_bootstrap,
        "OWDD_WORKERS": site.settings.workers,
        "OWDD_STATE_TOKEN": TOKEN,
    }

    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["contact", *arguments], env=environment)
        return done.exit_code, done.output

    code, printed = await run("show", "SO11")
    assert code == 0, printed
    assert f"{ANN}: Dotdigital has what Orderwise says." in printed
    code, printed = await run("show", BOB)
    assert code == ExitCode.CHANGES
    assert "contacts:invalidValue" in printed
    code, printed = await run("why", ANN)
    assert "all orders of all buyers that are not cancelled" in printed
    code, printed = await run("history", ANN, "--json")
    assert [moment["title"] for moment in json.loads(printed[printed.index("[\n") :]) if moment["kind"] == "call"][
        -1
    ] == "contact created"
    code, printed = await run("show", "no such number")
    assert code == ExitCode.ERROR
    assert "no account or order has this number" in printed


def test_a_buyers_newest_orders_are_shown() -> None:
    found = Pipeline()
    found.pump(pipeline.LOOKUP, pipeline.customer(1, ANN))
    for order in range(1, MOST_ORDERS + 30):
        found.pump(pipeline.header(order) + pipeline.total(order))
    tables = {name: WorkerShare(rows.rows, 0) for name, rows in zip(("orders", "buyers"), found.state.values(), strict=False)}
    replies = StateReplies(1, b"key", cast(dict[str, StateTable], tables))
    reply = replies.reply(BuyerQuery("c1", ANN))
    assert isinstance(reply, BuyerReply)
    assert [order for order, _ in reply.orders] == list(range(MOST_ORDERS + 29, 29, -1))
