"""Works on a replay: asks ingest, row by row and at a limited rate, to read the newest records of the selected rows again.

What was asked for is written down behind it. A process that dies leaves a run that another one takes up: it scans anew, and
asks for what is not yet written down. Asking twice does no harm.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from msgspec.structs import replace

from streams.core.clock import Clock
from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import committed_reader, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import replay_group
from streams.messages.replays import ReplayRequest, ReplayRun, RunState, Steering, run_key, write_request
from streams.messages.topics import Topics
from streams.observability.lag import partition_lags
from streams.operations.replay_runs import ReplayRuns, known_run
from streams.operations.replay_scan import PlaceRows, Scan, chunks, row_digest
from streams.settings import Settings

_MOST_TOGETHER = 100
"""Rows of one request."""
_MOST_APART = 2_000
"""Ingest reads everything between the first and the last row of a request."""
_MOST_WAITING = 50
"""Requests that may wait for ingest: as many as it does within seconds, so that a pause is one."""
_SAVED_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_LOOK_AGAIN_SECONDS = 0.5

RowsAsked: TypeAlias = Callable[[int], None]
"""Called with the number of rows that were asked for."""

_ENDS: dict[Steering, RunState] = {"pause": "paused", "cancel": "cancelled"}


@dataclass(frozen=True, slots=True)
class ReplayTools:
    """What a replay works with."""

    settings: Settings
    producer: BatchProducer
    runs: ReplayRuns
    clock: Clock


class ReplayProcess:
    """Works on one run in this process."""

    def __init__(self, tools: ReplayTools, run: ReplayRun, scan: Scan, asked: RowsAsked) -> None:
        self._tools = tools
        self._scan = scan
        self._asked = asked
        self._kafka = KafkaConfig.of(tools.settings)
        self._topic = Topics.of(tools.settings.app_id).replays
        self._sent_before = run.sent
        self._count = 0
        self._next_look = 0.0
        self._saved = self._began = asyncio.get_running_loop().time()
        self.run = run

    async def work(self, patience: float) -> bool:
        """Ask for all rows, and wait until ingest has read them; whether it has, within ``patience`` seconds at the end.

        If somebody pauses or cancels the run, it ends soon and returns True; :attr:`run` says what it is then.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; the run can be resumed.
        """
        admin = client.admin_client(self._kafka)
        await admin.start()
        try:
            return await self._work(admin, patience)
        except asyncio.CancelledError:
            # Ctrl-C: whoever resumes it need not wait until it is known to have no process.
            self.run = replace(self.run, state="paused")
            await self._save()
            raise
        finally:
            await admin.close()

    async def _work(self, admin: AIOKafkaAdminClient, patience: float) -> bool:
        async with committed_reader(self._kafka) as consumer:
            for rows in self._scan.places:
                if not await self._ask_place(rows, consumer, admin):
                    return True
            if not await self._answered(consumer, admin, patience):
                await self._save()
                return False
        self.run = replace(self.run, state="done")
        await self._save()
        await self._tools.runs.record(self.run, "done", self.run.by)
        return True

    async def _ask_place(self, rows: PlaceRows, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> bool:
        """Ask for the rows of one partition; False: the run is to end."""
        name = f"{rows.place.topic}/{rows.place.partition}"
        # Those of a second, so that a slow replay is slow row by row, and a pause is seen.
        together = max(1, min(_MOST_TOGETHER, int(self.run.rate)))
        for chunk in chunks(rows.offsets(self.run.done.get(name, 0)), together, _MOST_APART):
            if not await self._may_go_on(consumer, admin):
                return False
            await self._catch_up(rows, consumer)
            # A row that changed meanwhile has gone through ingest anew.
            current = set(rows.newest.values())
            if offsets := [offset for offset in chunk if offset in current]:
                await self._request(rows, offsets)
            self._count += len(chunk)
            self.run = replace(self.run, sent=self._sent_before + self._count, done=self.run.done | {name: chunk[-1] + 1})
            self._asked(self._count)
            await self._keep_the_rate()
        return True

    async def _request(self, rows: PlaceRows, offsets: list[int]) -> None:
        place = rows.place
        request = ReplayRequest(self.run.id, place.topic, place.partition, offsets, rows.until)
        partition = crc32(f"{place.topic}/{place.partition}".encode()) % self._tools.settings.partitions
        await self._tools.producer.send_one(self._topic, partition, run_key(self.run.id), write_request(request))

    async def _catch_up(self, rows: PlaceRows, consumer: AIOKafkaConsumer) -> None:
        """Look for newer records of the rows, so that ingest need not look far."""
        end = (await consumer.end_offsets([rows.place]))[rows.place]
        async for record in read_span(consumer, rows.place, rows.until, end):
            if record.value is not None and record.key is not None:
                row = row_digest(record.key)
                if row in rows.newest:
                    rows.newest[row] = record.offset
        rows.until = max(rows.until, end)

    async def _keep_the_rate(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._saved > _SAVED_SECONDS:
            await self._save()
        early = self._began + self._count / self.run.rate - loop.time()
        # In steps, so that others see that the run is alive.
        while early > 0:
            await asyncio.sleep(min(early, _SAVED_SECONDS))
            await self._save()
            early = self._began + self._count / self.run.rate - loop.time()

    async def _save(self) -> None:
        self._saved = asyncio.get_running_loop().time()
        await self._tools.runs.save(self.run)

    async def _may_go_on(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> bool:
        """Whether the run is still wanted, once ingest has room for more; asked twice a second."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_look:
            return True
        self._next_look = loop.time() + _LOOK_AGAIN_SECONDS
        while True:
            wanted = (await known_run(self._tools.settings, self.run.id)).wanted
            if wanted in _ENDS:
                self.run = replace(self.run, state=_ENDS[wanted])
                await self._save()
                return False
            if await self._waiting(consumer, admin) < _MOST_WAITING:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
            await self._save()

    async def _answered(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while await self._waiting(consumer, admin):
            if loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def _waiting(self, consumer: Any, admin: AIOKafkaAdminClient) -> int:
        """Requests, of this run and of others, that ingest has not finished."""
        found = await partition_lags(replay_group(self._tools.settings), [self._topic], consumer, admin)
        return sum(lag.behind for lag in found.values())
