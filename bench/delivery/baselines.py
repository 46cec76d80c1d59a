"""The two ways in which such synchronisations are usually built: a call for every change, and a batch every 15 minutes.

Both mind the budget once Dotdigital says that it is used up, and neither remembers what it has delivered.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from streams.messages.changes import Change, ChangeKind, DesiredContact, DesiredRecord
from testkit.virtual.contender import CONNECTIONS, Surroundings
from testkit.virtual.trace import collections_of

_PATIENCE = 1.0
"""Seconds before what was not answered is tried again."""
_POLL = 10.0


def _contact_body(email: str, row: DesiredContact) -> dict[str, Any]:
    body: dict[str, Any] = {"identifiers": {"email": email}, "dataFields": orjson.Fragment(row.fields or b"{}")}
    if row.opted is not True:
        body["channelProperties"] = {"email": {"status": "unsubscribed"}}
    return body


class _Caller:
    """Makes calls until they succeed, and waits while the budget is used up."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._http = around.http()
        self._paused_until = 0.0

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The answer, whatever it is but a refusal for the budget or none at all."""
        content = None if body is None else orjson.dumps(body)
        while True:
            while (wait := self._paused_until - self._around.clock.now_ms() / 1000) > 0:
                await asyncio.sleep(wait)
            try:
                answer = await self._http.request(method, path, content=content)
            except httpx.TransportError:
                await asyncio.sleep(_PATIENCE)
                continue
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            self._paused_until = float(answer.headers.get("X-RateLimit-Reset", self._around.clock.now_ms() / 1000 + _PATIENCE))


class OneByOne:
    """A call for every change, in the order in which they were made."""

    def __init__(self, around: Surroundings) -> None:
        self._caller = _Caller(around)
        self._collections = collections_of(around.mapping)
        self._queue: deque[Change] = deque()
        self._fed = asyncio.Semaphore(0)

    def feed(self, changes: Sequence[Change]) -> None:
        """Line up."""
        self._queue.extend(changes)
        for _ in changes:
            self._fed.release()

    async def run(self) -> None:
        """Call over as many connections as ours has."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._fed.acquire()
            change = self._queue.popleft()
            email = quote(change.key, safe="")
            match change.row:
                case DesiredContact() as row:
                    await self._caller.call("PATCH", f"/contacts/v3/email/{email}", _contact_body(change.key, row))
                case DesiredRecord(content=content):
                    owner = "account" if change.kind is ChangeKind.DESIRED_CATALOGUE else f"contacts/email/{email}"
                    place = f"/insightData/v3/{owner}/{self._collections[change.kind]}/{change.pk}"
                    while (
                        await self._caller.call("PUT", place, orjson.Fragment(content))
                    ).status_code == httpx.codes.NOT_FOUND:
                        await asyncio.sleep(_PATIENCE)


class EveryQuarter:
    """Everything that changed in the last 15 minutes, by import."""

    def __init__(self, around: Surroundings, rows: int = 5000) -> None:
        self._caller = _Caller(around)
        self._collections = collections_of(around.mapping)
        self._rows = rows
        self._contacts: dict[str, DesiredContact] = {}
        self._records: dict[tuple[ChangeKind, str], tuple[str, bytes]] = {}

    def feed(self, changes: Sequence[Change]) -> None:
        """Remember what is newest."""
        for change in changes:
            match change.row:
                case DesiredContact() as row:
                    self._contacts[change.key] = row
                case DesiredRecord(content=content):
                    self._records[change.kind, str(change.pk)] = change.key, content

    async def run(self) -> None:
        """Contacts first: a record of a contact that does not exist is refused."""
        while True:
            await asyncio.sleep(900)
            contacts, self._contacts = self._contacts, {}
            records, self._records = self._records, {}
            await self._import("/contacts/v3/import", [self._contacts_body(chunk) for chunk in self._chunks(contacts.items())])
            for kind, collection in self._collections.items():
                rows = [(key, email, content) for (of, key), (email, content) in records.items() if of is kind]
                body = self._articles_body if kind is ChangeKind.DESIRED_CATALOGUE else self._records_body
                bodies = [body(collection, chunk) for chunk in self._chunks(rows)]
                await self._import("/insightData/v3/import", bodies)

    def _chunks(self, rows: Any) -> list[list[Any]]:
        left, chunks = iter(rows), []
        while chunk := list(islice(left, self._rows)):
            chunks.append(chunk)
        return chunks

    def _contacts_body(self, chunk: list[tuple[str, DesiredContact]]) -> dict[str, Any]:
        return {"contacts": [{"matchIdentifier": "email"} | _contact_body(email, row) for email, row in chunk]}

    def _records_body(self, collection: str, chunk: list[tuple[str, str, bytes]]) -> dict[str, Any]:
        rows = [
            {"key": key, "contactIdentity": {"identifier": "email", "value": email}, "json": orjson.Fragment(content)}
            for key, email, content in chunk
        ]
        return {"collectionName": collection, "collectionScope": "contact", "collectionType": "orders", "records": rows}

    def _articles_body(self, collection: str, chunk: list[tuple[str, str, bytes]]) -> dict[str, Any]:
        rows = [{"key": key, "json": orjson.Fragment(content)} for key, _, content in chunk]
        return {"collectionName": collection, "collectionScope": "account", "collectionType": "catalog", "records": rows}

    async def _import(self, path: str, bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            job = (await self._caller.call("PUT", path, body)).json()["importId"]
            while (await self._caller.call("GET", f"{path}/{job}")).json()["status"] in ("NotFinished", "NotStarted"):
                await asyncio.sleep(_POLL)
