"""Works on a replay: asks ingest, row by row and at a limited rate, to read the newest records of the selected rows again.

What was asked for is written down behind it. A process that dies leaves a run that another one takes up: it scans anew, and
asks for what is not yet written down. Asking twice does no harm.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec.structs import replace

from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import committed_reader, read_span, reader
from streams.kafka.security import KafkaConfig
from streams.messages.replays import ReplayRequest, ReplayRun, RunState, Steering
from streams.operations.offset_chunks import chunks
from streams.operations.replay_requests import ReplayRequests
from streams.operations.replay_runs import ReplayRuns, SteeringWatch
from streams.operations.replay_scan import PlaceRows, Scan, row_digest
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
    """What a replay works with; ``captured`` reads the captured topics."""

    runs: ReplayRuns
    requests: ReplayRequests
    steering: SteeringWatch
    captured: Any


@asynccontextmanager
async def replay_tools(
    settings: Settings, producer: BatchProducer, runs: ReplayRuns, run: ReplayRun
) -> AsyncIterator[ReplayTools]:
    """The tools of one run, connected.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka = KafkaConfig.of(settings)
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        async with committed_reader(kafka) as consumer, reader(kafka) as watching:
            steering = SteeringWatch(settings, watching, run.id)
            await steering.begin()
            yield ReplayTools(runs, ReplayRequests(settings, producer, consumer, admin), steering, consumer)
    finally:
        await admin.close()


class ReplayProcess:
    """Works on one run in this process."""

    def __init__(self, tools: ReplayTools, run: ReplayRun, scan: Scan, asked: RowsAsked) -> None:
        self._tools = tools
        self._scan = scan
        self._asked = asked
        self._sent_before = run.sent
        self._count = 0
        self._next_look = 0.0
        self._saved = self._began = asyncio.get_running_loop().time()
        self.run = run

    async def work(self, patience: float) -> bool:
        """Ask for all rows, and wait until ingest has read them; whether it has, within ``patience`` seconds at the end.

        If somebody pauses or cancels the run, it ends soon and returns True; :attr:`run` says what it is then. A run that
        ingest has not answered in time is paused.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; the run can be resumed.
        """
        try:
            if self.run.sent:
                await self._tools.requests.follow_earlier()
            for rows in self._scan.places:
                if not await self._ask_place(rows):
                    return True
            return await self._answered(patience)
        except asyncio.CancelledError:
            # Ctrl-C: whoever resumes it need not wait until it is known to have no process.
            await self._end("paused")
            raise

    async def _ask_place(self, rows: PlaceRows) -> bool:
        """Ask for the rows of one partition; False: the run has ended."""
        name = f"{rows.place.topic}/{rows.place.partition}"
        # Those of a second, so that a slow replay is slow row by row, and a pause is seen.
        together = max(1, min(_MOST_TOGETHER, int(self.run.rate)))
        selected = rows.offsets(self.run.done.get(name, 0))
        current = set(selected)
        for chunk in chunks(selected, together, _MOST_APART):
            if not await self._may_go_on():
                return False
            await self._catch_up(rows, current)
            # A row that changed meanwhile has gone through ingest anew.
            if offsets := [offset for offset in chunk if offset in current]:
                request = ReplayRequest(self.run.id, rows.place.topic, rows.place.partition, offsets, rows.until)
                await self._tools.requests.send(request)
            self._count += len(chunk)
            self.run = replace(self.run, sent=self._sent_before + self._count, done=self.run.done | {name: chunk[-1] + 1})
            self._asked(self._count)
            if not await self._keep_the_rate():
                return False
        return True

    async def _catch_up(self, rows: PlaceRows, current: set[int]) -> None:
        """Look for newer records of the rows, so that ingest need not look far; older ones leave ``current``."""
        consumer = self._tools.captured
        end = (await consumer.end_offsets([rows.place]))[rows.place]
        async for record in read_span(consumer, rows.place, rows.until, end):
            if record.value is not None and record.key is not None:
                row = row_digest(record.key)
                if row in rows.newest:
                    current.discard(rows.newest[row])
                    rows.newest[row] = record.offset
        rows.until = max(rows.until, end)

    async def _keep_the_rate(self) -> bool:
        """Wait until the next rows are due; False: the run has ended meanwhile."""
        loop = asyncio.get_running_loop()
        due = self._began + self._count / self.run.rate
        while loop.time() < due:
            # In steps, so that others see that the run is alive, and this sees what they want.
            await asyncio.sleep(min(due - loop.time(), _LOOK_AGAIN_SECONDS))
            if not await self._is_wanted():
                return False
        return True

    async def _may_go_on(self) -> bool:
        """Whether the run is still wanted, once ingest has room for more; asked twice a second."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_look:
            return True
        self._next_look = loop.time() + _LOOK_AGAIN_SECONDS
        while await self._is_wanted():
            if await self._tools.requests.waiting() < _MOST_WAITING:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _answered(self, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while await self._is_wanted():
            if await self._tools.requests.answered():
                await self._end("done")
                await self._tools.runs.record(self.run, "done", self.run.by)
                return True
            if loop.time() > until:
                await self._end("paused")
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def _is_wanted(self) -> bool:
        """Whether nobody has paused or cancelled the run; meanwhile others see once a second that it is alive."""
        if end := _ENDS.get(await self._tools.steering.wanted()):
            await self._end(end)
            return False
        if asyncio.get_running_loop().time() - self._saved >= _SAVED_SECONDS:
            await self._save()
        return True

    async def _end(self, state: RunState) -> None:
        self.run = replace(self.run, state=state)
        await self._save()

    async def _save(self) -> None:
        self._saved = asyncio.get_running_loop().time()
        await self._tools.runs.save(self.run)
