"""Real capture, converged by the oracle: one shop trades through everything that happens to the connector.

The tests build on each other's shop and run in this order; each leaves it settled.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice

import pytest
import pytest_asyncio

from streams.capture.envelope import RowEvent
from streams.connect.control import WaitLimits, all_are, wait_for
from testkit.local_services import kafka
from testkit.simulate.sql_dialects import DIALECTS
from testkit.simulate.sql_writer import Sql
from tests.cdc.cdc_harness import Shop, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path_factory.mktemp("cdc")) as opened:
        yield opened


def repetitions(versions: Iterable[RowEvent]) -> tuple[int, int]:
    """How many streamed versions of one row came again, and how many of those were older than the newest one by then."""
    seen: set[tuple[bytes, str]] = set()
    newest, again, stale = b"", 0, 0
    for event in versions:
        if not event.snapshot:
            again += (event.position, event.op) in seen
            stale += event.position < newest
            seen.add((event.position, event.op))
            newest = max(newest, event.position)
    return again, stale


async def test_the_snapshot_and_what_follows_arrive(shop: Shop) -> None:
    opened = sum(shop.simulation.rows.values())
    await shop.trade(200)
    assert await shop.differences() == []
    read = [event for versions in (await shop.events()).values() for event in versions if event.op == "r"]
    assert len(read) == opened
    assert await shop.metric("owdd_records_total", kind="c") > 100
    assert await shop.metric("owdd_dead_letters_total") == 0


async def test_deletes_and_changed_keys_arrive(shop: Shop) -> None:
    await shop.trade(600)
    happened = shop.simulation.phenomena
    assert {"contact_key_changed", "detail_key_changed"} <= happened.keys()
    assert await shop.differences() == []
    deletes = await shop.metric("owdd_records_total", kind="d")
    assert deletes == await shop.metric("owdd_records_total", kind="tombstone")
    assert deletes > happened["contact_key_changed"] + happened["detail_key_changed"]


async def test_a_paused_connector_misses_nothing(shop: Shop) -> None:
    async with shop.stack.client() as client:
        await client.pause(shop.stack.connector)
        await wait_for(client, shop.stack.connector, all_are("PAUSED"), WaitLimits(30, 0.5))
        before = await shop.metric("owdd_records_total")
        await shop.trade(150)
        assert await shop.metric("owdd_records_total") == before
        await client.resume(shop.stack.connector)
    await shop.stack.capturing()
    assert await shop.differences() == []


async def test_tables_are_read_again_while_the_shop_trades(shop: Shop) -> None:
    before = await shop.metric("owdd_records_total", kind="r")
    trading = shop.trade(200, rate=60)
    await shop.read_again("again")
    await trading
    assert await shop.differences() == []
    assert await shop.metric("owdd_records_total", kind="r") - before > 1000
    tables = await shop.compared()
    assert [(table.topic, table.rows, table.reason) for table in tables] == [(table.topic, 0, None) for table in tables]
    assert sum(table.shown for table in tables) > 1000


async def test_a_transaction_that_was_open_while_its_rows_were_read_again_wins(shop: Shop) -> None:
    """Its changes stand before the read in the log and arrive after it: PostgreSQL's LSNs do not follow commits."""
    sql = Sql(shop.mapping, DIALECTS["postgresql"])
    with shop.stack.connection() as connection, connection.transaction():
        for transaction in islice(shop.runner._changes, 20):
            for text, values in sql.statements(transaction):
                connection.execute(text, values)
        await shop.read_again("around an open transaction")
    assert await shop.differences() == []


async def test_a_killed_connect_worker_repeats_itself_and_does_no_harm(shop: Shop) -> None:
    stale_before = await shop.metric("owdd_stale_changes_total")
    hot = max(int(key) for key in shop.simulation.truth().tables["customer_detail"])
    topic = shop.mapping.topic("customer_detail")
    again = stale = 0
    # A kill right after Connect has stored its offsets repeats nothing; hardly ever twice in a row.
    for _ in range(4):
        async with heated(shop, hot):
            trading = shop.trade(100, rate=100)
            await shop.flowing(topic, 100)
            await shop.stack.kill_connect()
        await shop.stack.start_connect()
        await trading
        await shop.stack.capturing()
        assert await shop.differences() == []
        again, stale = repetitions((await shop.events())[topic, b'{"cd_id":%d}' % hot])
        if stale:
            break
    assert again >= stale > 0
    assert await shop.metric("owdd_stale_changes_total") - stale_before >= stale


@asynccontextmanager
async def heated(shop: Shop, customer: int) -> AsyncIterator[None]:
    """Version after version of one row, in a column that nobody maps."""
    cold = threading.Event()

    def heat() -> None:
        with shop.stack.connection() as connection:
            while not cold.is_set():
                connection.execute(
                    "UPDATE dbo.customer_detail SET cd_statement_fax = %s WHERE cd_id = %s", (str(time.time_ns()), customer)
                )

    heating = asyncio.create_task(asyncio.to_thread(heat))
    try:
        yield
    finally:
        cold.set()
        await heating


async def test_a_broker_that_dies_and_returns_loses_nothing(shop: Shop) -> None:
    directory = shop.stack.directory / "kafka"
    async with shop.supervised():
        trading = shop.trade(200, rate=60)
        await shop.flowing(shop.mapping.topic("order_header"), 20)
        await asyncio.to_thread(kafka.kill, directory)
        await asyncio.to_thread(kafka.start, directory, short_lived=True)
        await trading
        await shop.stack.capturing()
        assert await shop.differences() == []
