"""What the first page and the list of what is set aside show: read in the background, so that a page waits for nothing."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import structlog
from aiokafka.errors import KafkaError

from streams.console.entries_feed import EntriesFeed
from streams.console.following import Following
from streams.core.errors import OwddError
from streams.mapping import Mapping
from streams.messages.reconciliations import ReconcileRun
from streams.operations.day_counts import DayCounts, day_counts
from streams.operations.reconcile.run_log import RunFeed
from streams.operations.set_aside_list import SetAsideItem, set_aside
from streams.operations.state_client import StateUnavailableError
from streams.operations.state_queries import PresentQuery, PresentReply
from streams.operations.status import Status, read_status
from streams.operations.story_reading import Stories
from streams.settings import Settings

_EVERY_SECONDS = 15.0
_FIRST_SECONDS = 8.0
_TAKE_SECONDS = 45.0
_OLD_MS = 90_000
"""The age of numbers that cannot be the newest: reading them takes at most 45 s, and begins 15 s after the last."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers as they were at ``at`` (epoch ms); ``gaps`` names what could not be read.

    ``present``: what is in Dotdigital by us, by kind; None: no worker said so. ``compared``: the last complete comparison
    with Dotdigital; None: there was none.
    """

    at: int
    status: Status
    day: DayCounts
    items: list[SetAsideItem]
    present: dict[str, int] | None
    compared: ReconcileRun | None = None
    gaps: list[str] = field(default_factory=list)


class Overview:
    """Reads a snapshot every 15 seconds, and keeps the last one."""

    def __init__(self, settings: Settings, mapping: Mapping, stories: Stories | None) -> None:
        self._settings = settings
        self._mapping = mapping
        self._stories = stories
        self._entries = EntriesFeed(settings)
        self._runs = Following(settings, RunFeed)
        self._snapshot: Snapshot | None = None
        self._error: str | None = None
        self._read = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def error(self) -> str | None:
        """Why the newest numbers are not those of now; None: they are."""
        if self._error is None and self._snapshot is not None and _now() - self._snapshot.at > _OLD_MS:
            return "nothing was read for more than a minute"
        return self._error

    async def latest(self) -> Snapshot | None:
        """The newest snapshot; None: there is none yet, though it was waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_SECONDS):
                await self._read.wait()
        return self._snapshot

    def stop(self) -> None:
        """Let :meth:`run` end behind what it is reading: clients of Kafka that are cancelled while they start stay open."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped. An error is shown and logged, and the next attempt comes all the same."""
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(_TAKE_SECONDS):
                    self._snapshot, self._error = await self._take(), None
            except (KafkaError, TimeoutError, OwddError, OSError) as error:
                self._fail(error, f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - one odd record must not end the reading for good
                # Its text may hold a part of the record.
                self._fail(error, type(error).__name__)
            self._read.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_SECONDS):
                    await self._stopping.wait()
        await self._entries.stop()
        await self._runs.stop()

    def _fail(self, error: Exception, shown: str) -> None:
        self._error = shown
        log.warning("console could not read the state of the pipeline", error=type(error).__name__)

    async def _take(self) -> Snapshot:
        gaps: list[str] = []
        await self._entries.refresh()
        if self._entries.more:
            gaps.append("There are more dead letters and parked deliveries than are shown: see 'owdd dlq list'.")
        async with self._runs.feed() as runs:
            compared = (await runs.known()).last_complete
        status, day, items, present = await asyncio.gather(
            read_status(self._settings, self._mapping, changelogs=False, counts=self._entries.counts),
            day_counts(self._settings, self._mapping),
            set_aside(
                self._settings,
                self._mapping,
                self._entries.entries,
                None if self._stories is None else self._stories.state,
                gaps,
            ),
            self._present(gaps),
        )
        return Snapshot(_now(), status, day, items, present, compared, gaps)

    async def _present(self, gaps: list[str]) -> dict[str, int] | None:
        if self._stories is None:
            return None
        try:
            replies = await self._stories.state.ask([PresentQuery()], "")
        except StateUnavailableError:
            return None
        if replies.missing(["outbox"]):
            gaps.append("The sizes in Dotdigital: not every partition of dispatch is open on a worker.")
            return None
        found: dict[str, int] = {}
        for reply in replies.every(0, PresentReply):
            for kind, count in reply.counts.items():
                found[kind] = found.get(kind, 0) + count
        return found


def _now() -> int:
    return time.time_ns() // 1_000_000
