"""Before a rebuild the topics between the stages are emptied of all that captured rows say again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner

from streams.cli import app
from streams.cli import topics as command
from streams.core.clock import Clock
from streams.core.errors import OwddError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, ingest_group
from streams.mapping import load_mapping
from streams.messages.changes import CarriedRefusal, Change, ChangeKind, DesiredContact, EraseAddress, pack
from streams.messages.generation_log import known_generations
from streams.messages.generations import ACTIVATION_KEY, FIRST, Activation, Generation, generation_key, write_generations
from streams.messages.kinds import CHANGES
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.rebuild import Clearing, purge
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.wire import unpack

ANN, BOB = "ann@example.com", "bob@example.com"


def change(kind: ChangeKind, key: str, row: object) -> Change:
    return CHANGES[kind](key, 0, bytes(8), 1, 0, row)


FACT, PART = change(ChangeKind.ORDER_FACT, "c1", None), change(ChangeKind.BUYER_CONTRIBUTION, ANN, None)
ERASE, CONSENT = (
    change(ChangeKind.ERASURE, ANN, EraseAddress(b"digest")),
    change(ChangeKind.CARRIED_REFUSAL, BOB, CarriedRefusal()),
)
WANTED = change(ChangeKind.DESIRED_CONTACT, BOB, DesiredContact(b"{}", None))


@pytest_asyncio.fixture
async def site(broker: Path) -> AsyncIterator[Settings]:
    """An application that has worked: every topic of its own holds something."""
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=f"clear-{uuid4().hex[:8]}", partitions=2)
    topics = Topics.of(settings.app_id)
    names = asdict(topics).values()
    await apply_topics(
        KafkaConfig(running.bootstrap), [spec for spec in specs(settings, load_mapping()) if spec.name in names], execute=True
    )
    async with BatchProducer(settings) as producer:
        contents: dict[str, list[bytes]] = {
            topics.buyers: [pack([FACT, FACT])],
            topics.contacts: [pack([PART, ERASE]), b"?"],
            topics.desired: [pack([WANTED]), pack([CONSENT])],
            topics.deliveries: [b"{}"],
            topics.erasures: [b"{}"],
        }
        for topic, values in contents.items():
            await producer.send(topic, 1, [(b"key", value) for value in values])
    yield settings


async def held(settings: Settings, topic: str) -> list[tuple[int, bytes]]:
    found = read_topic(KafkaConfig.of(settings), topic, range(settings.partitions))
    return [(record.partition, record.value) async for record in found]


async def test_what_people_asked_for_stays_where_it_was_and_everything_else_between_the_stages_goes(site: Settings) -> None:
    topics = Topics.of(site.app_id)
    expected = [
        Clearing(topics.orders, 0, 0),
        Clearing(topics.buyers, 2, 0),
        Clearing(topics.contacts, 2, 1),
        Clearing(topics.products, 0, 0),
        Clearing(topics.desired, 1, 1),
    ]
    assert await purge(site, execute=False) == expected
    assert len(await held(site, topics.contacts)) == 2
    assert await purge(site, execute=True) == expected

    assert await held(site, topics.buyers) == []
    kept = [*await held(site, topics.contacts), *await held(site, topics.desired)]
    assert [(partition, unpack(value)) for partition, value in kept] == [(1, [ERASE]), (1, [CONSENT])]
    assert [len(await held(site, topic)) for topic in (topics.deliveries, topics.erasures)] == [1, 1]
    assert {item.going for item in await purge(site, execute=True)} == {0}
    assert len(await held(site, topics.contacts)) == 1


async def test_groups_at_rest_are_no_obstacle_however_many_there_are(site: Settings) -> None:
    topics = Topics.of(site.app_id)
    groups = {
        ingest_group(site): topics.retries,
        agents_app(site): topics.buyers,
        dispatch_app(site): topics.desired,
        agents_app(site.model_copy(update={"app_version": 2})): topics.buyers,
    }
    for group, topic in groups.items():
        async with AIOKafkaConsumer(topic, bootstrap_servers=site.kafka_bootstrap, group_id=group) as consumer:
            await consumer.getmany(timeout_ms=0)
            await consumer.commit({TopicPartition(topic, 0): 0})
    assert {item.topic: item.going for item in await purge(site, execute=True)}[topics.buyers] == 2
    assert await held(site, topics.buyers) == []


async def unexpected() -> None:
    pytest.fail("what is refused was recorded")


async def test_the_audit_trail_gets_it_before_anything_is_deleted(site: Settings) -> None:
    buyers = Topics.of(site.app_id).buyers

    async def record() -> None:
        recorded.append(len(await held(site, buyers)))

    recorded: list[int] = []
    await purge(site, execute=False, record=unexpected)
    await purge(site, execute=True, record=record)
    assert (recorded, await held(site, buyers)) == ([1], [])


async def test_nothing_is_emptied_under_a_worker_of_whatever_version(site: Settings) -> None:
    topic, group = Topics.of(site.app_id).retries, ingest_group(site.model_copy(update={"app_version": 7}))
    async with AIOKafkaConsumer(topic, bootstrap_servers=site.kafka_bootstrap, group_id=group) as consumer:
        await consumer.getmany(timeout_ms=0)
        with pytest.raises(OwddError, match=f"^{group}: workers are running"):
            await purge(site, execute=True, record=unexpected)
    assert len(await held(site, Topics.of(site.app_id).buyers)) == 1


@pytest.mark.parametrize(("going", "options", "code"), [(1, [], 2), (1, ["--execute"], 0), (0, [], 0)])
def test_the_exit_code_says_whether_there_is_something_left_to_do(
    going: int, options: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cleared(_: Settings, *, execute: bool, record: Callable[[], Awaitable[None]]) -> list[Clearing]:
        assert execute == bool(options)
        if execute:
            await record()
        return [Clearing("owdd.desired", going, 3)]

    async def recorded(_settings: Settings, action: str, by: str, _clock: Clock) -> None:
        written.append((action, by))

    written: list[tuple[str, str]] = []
    monkeypatch.setattr(command, "purge", cleared)
    monkeypatch.setattr(command, "record_maintenance", recorded)
    result = CliRunner().invoke(app, ["topics", "clear", "--operator", "kim", *options])
    assert written == ([("clear topics", "kim")] if options else [])
    assert (result.exit_code, "owdd.desired" in result.output) == (code, True)


async def test_a_new_outbox_obeys_the_first_generation_whatever_the_old_one_obeyed(site: Settings) -> None:
    topic = Topics.of(site.app_id).generations
    async with BatchProducer(site) as producer:
        await producer.send_one(topic, 0, ACTIVATION_KEY, write_generations(Activation(1, 2, "kim", 1)))
        for number in (0, 2):
            generation = Generation(number=number, by="kim", began=1, ends={}, dropped=not number)
            await producer.send_one(topic, 0, generation_key(number), write_generations(generation))
    assert (await known_generations(site)).activation.generation == 2
    await purge(site, execute=True)
    known = await known_generations(site)
    assert (known.activation, known.working) == (FIRST, [0])
    # A barrier of it is in topic frozen-orders still: another one of that number would take it for its own.
    assert max(known.generations) == 2
