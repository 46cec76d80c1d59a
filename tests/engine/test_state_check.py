"""``owdd state check`` finds every row in which state and changelog differ; on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import rocksdict
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.core.clock import SystemClock
from streams.engine.store import Store
from streams.kafka.producer import BatchProducer
from streams.kafka.topics import agents_app, tables
from streams.operations.state_check import check_state
from streams.settings import Settings
from testkit.local_services import kafka
from tests.engine.changelogs import Log, numbered


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    app_id = f"check-{uuid4().hex[:8]}"
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=1, app_id=app_id)


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    async with BatchProducer(settings) as producer:
        made = Log(settings, producer)
        made.rename(tables(settings)["orders"])
        yield await made.create()


def path(settings: Settings) -> Path:
    return settings.data_dir / agents_app(settings) / "v1" / "tables" / "orders-0.db"


async def in_thread(*arguments: str) -> Result:
    """The command runs a loop of its own."""
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments)))


async def counts(settings: Settings) -> list[tuple[str, int, int, int, int, int, int, int]]:
    return [
        (one.table, one.partition, one.rows, one.behind, one.missing, one.extra, one.different, one.ahead)
        async for one in check_state(settings, SystemClock())
    ]


async def test_holes_strangers_and_other_values_are_counted(settings: Settings, log: Log) -> None:
    await log.append(numbered(0, 1000))
    store = Store(path(settings))
    await log.recover(store)
    assert await counts(settings) == [("orders", 0, 1000, 0, 0, 0, 0, 0)], "while the store is open"
    store.write({b"000003": None, b"000004": None, b"000005": b"other", b"stranger": b"x"}, store.note)
    await log.append([(b"000004", b"y"), (b"new", b"x")])
    store.close()
    # What the state does not have yet is no difference.
    assert await counts(settings) == [("orders", 0, 1001, 2, 1, 1, 1, 0)]


async def test_state_that_is_ahead_is_named(settings: Settings, log: Log) -> None:
    await log.append([(b"a", b"x")])
    store = Store(path(settings))
    await log.recover(store)
    store.write({b"b": b"x"}, replace(store.note, offset=4))
    store.close()
    assert await counts(settings) == [("orders", 0, 1, 0, 0, 1, 0, 4)]


async def test_state_of_an_older_version_is_compared_too(settings: Settings, log: Log) -> None:
    await log.producer.send(log.topic, 0, [(b"a", b"x"), (b"b", b"x"), (b"c", b"x")])
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    path(settings).parent.mkdir(parents=True)
    old = rocksdict.Rdict(str(path(settings)), options)
    old[b"a"], old[b"__faust\0offset__"] = b"x", b"1"
    old.close()
    assert await counts(settings) == [("orders", 0, 3, 1, 1, 0, 0, 0)]


async def test_the_command_ends_with_two_if_anything_differs(
    settings: Settings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append([(b"a", b"secret@example.com")])
    store = Store(path(settings))
    await log.recover(store)
    store.write({b"a": b"other"}, store.note)
    store.close()
    values = {"KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "APP_ID": settings.app_id, "DATA_DIR": str(settings.data_dir)}
    for name, value in values.items():
        monkeypatch.setenv(f"OWDD_{name}", value)
    result = await in_thread("state", "check", "--json")
    assert result.exit_code == 2
    assert "secret" not in result.output
    [found] = orjson.loads(result.output)
    assert (found["different"], found["equal"]) == (1, False)
    store = Store(path(settings))
    store.empty()
    store.close()
    assert (await in_thread("state", "check")).exit_code == 0
