"""A large column that an update left alone comes with its value, by the post-processor as it is rendered.

PostgreSQL stands in for SQL Server: without a replica identity its log lacks a value that it stores apart from its row, as CDC
lacks an untouched ``varchar(max)``. Only what compaction leaves of a key is looked at: the last record.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from streams.capture.envelope import RowEvent, decode
from streams.capture.images import after_image
from streams.capture.reader import readers
from streams.capture.rows import Contact
from streams.connect.control import WaitLimits, wait_for
from streams.connect.render import connector
from streams.connect.rest import ConnectClient
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import capture_specs
from streams.operations.topic_admin import apply_topics
from tests.connect.conftest import Site
from tests.connect.connect_harness import mapping
from tests.patience import PATIENCE

NAME = "large-columns"
MAPPING = mapping(source={"topic_prefix": "large"}, contact={"large": ["cc_name"]})
TABLE = MAPPING.contact.table
FULL_NAME = "Ann " + "Lee " * 1500
"""So long that PostgreSQL stores it apart from its row."""
KEY = 77_000_001


@pytest.fixture
def database(site: Site) -> Iterator[psycopg.Connection[Any]]:
    """A contact whose name is large, and whose former values are in no log."""
    url = site.server.url(MAPPING.source.database)
    with psycopg.connect(url, password=site.password, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE dbo.{TABLE} ALTER cc_name TYPE text, ALTER cc_name SET STORAGE EXTERNAL")
        connection.execute(f"ALTER TABLE dbo.{TABLE} REPLICA IDENTITY DEFAULT")
        columns = "cc_id, cc_customer_id, cc_name, cc_email"
        connection.execute(f"INSERT INTO dbo.{TABLE} ({columns}) VALUES (%s, 1, %s, %s)", (KEY, FULL_NAME, "ann@example.com"))
        yield connection
        connection.execute(f"DELETE FROM dbo.{TABLE} WHERE cc_id = %s", (KEY,))
        connection.execute(f"ALTER TABLE dbo.{TABLE} REPLICA IDENTITY FULL")


@pytest.fixture
async def running(site: Site, database: psycopg.Connection[Any]) -> AsyncIterator[None]:
    await apply_topics(KafkaConfig.of(site.settings), list(capture_specs(site.settings, MAPPING, "postgres")), execute=True)
    # A slot of its own: the database has another connector too.
    config = connector(MAPPING, "postgres", site.settings) | {"slot.name": "large", "publication.name": "large"}
    async with ConnectClient(str(site.settings.connect_url)) as client:
        await client.put_config(NAME, config)
        status = await wait_for(client, NAME, lambda seen: seen.running or bool(seen.failed), WaitLimits(longest=PATIENCE))
        assert status.running, status
    yield
    httpx.delete(f"{site.settings.connect_url}/connectors/{NAME}", trust_env=False).raise_for_status()


async def last_record(site: Site, op: str) -> RowEvent:
    """What compaction leaves of the contact, once it is of that kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            last = None
            async for record in read_topic(
                KafkaConfig.of(site.settings), MAPPING.topic(TABLE), range(site.settings.partitions)
            ):
                if record.key is not None and str(KEY).encode() in record.key:
                    last = decode(record.key, record.value)
            if isinstance(last, RowEvent) and last.op == op:
                return last
            await asyncio.sleep(0.2)


async def test_an_untouched_large_column_is_read_again(site: Site, running: None, database: psycopg.Connection[Any]) -> None:
    assert (await last_record(site, "r")).position
    database.execute(f"UPDATE dbo.{TABLE} SET cc_email = %s WHERE cc_id = %s", ("lee@example.com", KEY))
    event = await last_record(site, "u")
    assert event.before is None, "the log has no former value"
    assert event.after is not None
    assert event.after["cc_name"] == FULL_NAME
    reader = readers(MAPPING)[TABLE]
    image = after_image(event, reader)
    assert not image.keep
    row = reader.read(image.columns)
    assert isinstance(row, Contact)
    assert (row.emails, row.first_name) == (("lee@example.com",), "Ann")
