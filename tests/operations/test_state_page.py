"""What a worker's page of state logs, and how much of its tables it reads."""

from collections.abc import Iterator
from typing import Any, cast

import httpx
import msgspec
import structlog
from starlette.applications import Starlette

from streams.domain.held_reason import HeldReason
from streams.engine.table import StateTable
from streams.operations import state_queries
from streams.operations.state_page import state_page
from streams.operations.state_queries import MOST_HELD, HeldQuery, HeldReply, Request
from streams.operations.state_replies import StateReplies
from tests.agents.pipeline import ANN

HASH = "0123456789abcdef"
REASON = msgspec.msgpack.encode(HeldReason("status_not_loaded", 1))


async def test_only_keyed_hashes_of_readers_and_contacts_are_logged() -> None:
    app = Starlette(routes=[state_page(StateReplies(2), "t")])
    with structlog.testing.capture_logs() as logged:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as http:
            for by, about in ((HASH, ANN), (ANN, HASH), (HASH, "")):
                body = state_queries.write(Request([], by, about))
                await http.post("/state", content=body, headers={"authorization": "Bearer t"})
    assert [(line["by"], line["about"]) for line in logged] == [(HASH, ""), ("", HASH), (HASH, "")]


async def test_held_documents_are_read_up_to_the_limit_whatever_the_number_of_tables_and_partitions() -> None:
    read: list[int] = []

    class Table:
        def owned(self) -> set[int]:
            return {0, 1}

        def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
            for number in range(MOST_HELD):
                read.append(partition)
                yield prefix + b"%d" % number, REASON

    tables: dict[str, Any] = {"orders": Table(), "buyers": Table()}
    reply = StateReplies(2, tables=cast(dict[str, StateTable], tables)).reply(HeldQuery())
    assert isinstance(reply, HeldReply)
    assert (len(reply.rows), reply.more, len(read)) == (MOST_HELD, True, MOST_HELD + 1)
