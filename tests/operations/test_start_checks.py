"""A worker that is set up wrongly does not start: one sentence, the setting or place, and what to do.

The set-ups are in ``wrong_setups.py``; those that need a secured broker are made in ``tests/kafka``.
"""

import asyncio
import resource
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from streams.core.clock import SystemClock
from streams.engine.data_dir import own_data_dir
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.mapping import load_mapping
from streams.mapping.fingerprint import fingerprint
from streams.messages.generation_log import known_generations
from streams.messages.protocol import specs
from streams.messages.site_setup import FORMATS, PARTITION, StateSetup, state_key, write_setup
from streams.messages.topics import Topics
from streams.operations.site_setup import accept_mapping, changed_mapping, check_setup
from streams.operations.start_checks import check_open_files
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings, unknown_variables
from testkit.local_services import kafka
from tests.operations.setup_starts import WrongSetup, check
from tests.operations.setups_page import OPERATIONS, page_with_table
from tests.operations.wrong_setups import TABLE


def those_that_need(*needs: str) -> pytest.MarkDecorator:
    """The set-ups of the table that need one of these."""
    rows = [setup for setup in TABLE if setup.needs in needs]
    return pytest.mark.parametrize("setup", rows, ids=[setup.title for setup in rows])


@those_that_need("nothing")
def test_a_worker_refuses(setup: WrongSetup, tmp_path: Path) -> None:
    check(setup, tmp_path)


@pytest.fixture(scope="module")
def site(broker: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a site without topics."""
    running = kafka.status(broker).broker
    assert running is not None
    data = tmp_path_factory.mktemp("site")
    app_id = f"start-{uuid4().hex[:8]}"
    return Settings(kafka_bootstrap=running.bootstrap, app_id=app_id, partitions=2, data_dir=data, erasure_key="in use")


def environment(settings: Settings) -> dict[str, str]:
    return {
        "OWDD_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "OWDD_APP_ID": settings.app_id,
        "OWDD_PARTITIONS": str(settings.partitions),
        "OWDD_ERASURE_KEY": settings.erasure_key.get_secret_value(),
    }


@those_that_need("broker")
def test_a_worker_refuses_a_broker_without_topics(setup: WrongSetup, site: Settings, tmp_path: Path) -> None:
    check(setup, tmp_path, environment(site))


@pytest.fixture(scope="module")
def topics(site: Settings) -> Settings:
    """The same site with its topics, for any version of its state."""
    ours = [
        spec
        for version in (1, 2, 3, 4)
        for spec in specs(site.model_copy(update={"app_version": version}), load_mapping())
        if spec.name.startswith(site.app_id)
    ]
    asyncio.run(apply_topics(KafkaConfig.of(site), list({spec.name: spec for spec in ours}.values()), execute=True))
    # Until it can be read: where a topic was made just now, a worker's client logs that it has no leader yet.
    asyncio.run(known_generations(site))
    return site


@those_that_need("topics")
def test_a_worker_refuses_topics(setup: WrongSetup, topics: Settings, tmp_path: Path) -> None:
    check(setup, tmp_path, environment(topics))


@pytest.fixture(scope="module")
def state(topics: Settings) -> Settings:
    """The same site with state: of this release, of an older one, of a newer one, and of one that noted no set-up."""
    asyncio.run(_build_state(topics))
    return topics


async def _build_state(topics: Settings) -> None:
    await check_setup(topics, load_mapping(), SystemClock())
    others = {2: ("0.1.0", {"state": 0}), 3: ("9.0.0", {"outbox": FORMATS["outbox"] + 1})}
    async with BatchProducer(topics) as producer:
        for version, (release, formats) in others.items():
            setup = StateSetup(at=0, release=release, formats=FORMATS | formats, mapping=fingerprint(load_mapping()))
            await producer.send_one(Topics.of(topics.app_id).setup, PARTITION, state_key(version), write_setup(setup))
        changelog = next(iter(tables(topics.model_copy(update={"app_version": 4})).values()))
        await producer.send_one(changelog, 1, b"row", b"of an older release")


@those_that_need("state")
def test_a_worker_refuses_state(setup: WrongSetup, state: Settings, tmp_path: Path) -> None:
    hash_key_only = {"OWDD_ERASURE_KEY": ""} if "hash key" in setup.title else {}
    check(setup, tmp_path, environment(state) | hash_key_only)


def test_the_operations_page_has_the_table() -> None:
    assert OPERATIONS.read_text("utf-8") == page_with_table(), "run make docs"


def test_there_are_thirty_of_them() -> None:
    assert len({setup.title for setup in TABLE}) == len(TABLE) >= 30


async def test_a_changed_mapping_is_accepted_by_a_person(topics: Settings) -> None:
    before, clock = load_mapping(), SystemClock()
    other = topics.model_copy(update={"app_version": 3, "app_id": topics.app_id})
    await accept_mapping(other, before, clock)
    await check_setup(other, before.model_copy(update={"exclude_days": 5}), clock)
    now = before.model_copy(update={"house_accounts": frozenset({7})})
    assert await changed_mapping(other, now) == ["house_accounts"]
    await accept_mapping(other, now, clock)
    await check_setup(other, now, clock)
    assert await changed_mapping(other, now) == []


def test_a_soft_limit_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (230, hard))
    try:
        check_open_files(2)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 920
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_data_directory_is_its_owners_only(tmp_path: Path) -> None:
    with own_data_dir(tmp_path / "data") as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    found = unknown_variables({"OWDD_PARTITION": "8", "OWDD_PARTITIONS": "8", "OWDD_SOURCE_ANY": "", "HOME": "", "OWDD_QQ": ""})
    assert found == {"OWDD_PARTITION": "OWDD_PARTITIONS", "OWDD_QQ": None}
