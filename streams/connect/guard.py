"""The capture guard: checks capture every few seconds, shows the result in metrics, and restarts failed parts.

The worst failure of SQL Server CDC is silent: the connector is RUNNING, and no change ever arrives. The guard runs with ingest.
Failures of the guard itself are counted and logged; they never stop a worker.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from streams.connect.connect_errors import ConnectError, ConnectorMissing
from streams.connect.heartbeats import Heartbeats, read_heartbeats
from streams.connect.responses import Offset, Status
from streams.connect.rest import Busy, ConnectClient
from streams.connect.restarts import RestartDecision, RestartPolicy, Restarts
from streams.connect.retention import Retained, headroom_seconds, read_retained
from streams.core.clock import Clock
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.observability.metrics import Metrics
from streams.settings import Settings

log = structlog.get_logger()

# Seconds between two passes, and for one call: if Kafka Connect does not answer, the other checks must not wait long for it.
_INTERVAL = 15.0
_TIMEOUT = 10.0


@dataclass
class Observations:
    """The latest observations. If something was never seen, its age counts from ``started``: it is at least that."""

    started: int
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    offsets: tuple[Offset, ...] | None = None
    offsets_since: int = 0
    retained: Retained | None = None

    def record_offsets(self, offsets: tuple[Offset, ...], now_ms: int) -> None:
        """Record the committed offsets, and when they last changed."""
        if offsets != self.offsets:
            self.offsets, self.offsets_since = offsets, now_ms

    def record_heartbeats(self, beats: Heartbeats) -> None:
        """Record the newest heartbeats. None must not replace a known time: retention may have deleted the record."""
        self.heartbeats = Heartbeats(beats.row or self.heartbeats.row, beats.connector or self.heartbeats.connector)

    def age(self, at: int | None, now_ms: int) -> float:
        """Seconds since ``at``; the source's clock may be ahead of ours."""
        return max(0, now_ms - (self.started if at is None else at)) / 1000

    def headroom(self, now_ms: int) -> float | None:
        """Seconds until changes are deleted unread, if the connector stopped now; None: unknown."""
        if self.retained is None or self.heartbeats.row is None:
            return None
        return headroom_seconds(self.retained, self.heartbeats.row, now_ms)


class CaptureGuard:
    """Watches the connector of one site.

    Every worker sets the gauges. Only the worker for which ``leads()`` is true restarts failed parts, so that several workers
    do not restart the same part at once.
    """

    def __init__(self, settings: Settings, mapping: Mapping, metrics: Metrics, clock: Clock, leads: Callable[[], bool]) -> None:
        self._settings = settings
        self._names = CaptureNames.of(mapping, settings.source_kind)
        self._metrics = metrics
        self._clock = clock
        self._leads = leads
        # At 0 from the start, so that the first restart is seen as a rise.
        metrics.connector_restarts.labels(self._names.connector)
        self._restarts = Restarts(RestartPolicy(settings.connector_restarts))
        self._seen = Observations(clock.now_ms())
        self._last_errors: dict[str, str] = {}
        self._given_up = False

    @property
    def newest_row(self) -> int | None:
        """When the newest heartbeat row that came back was committed (epoch ms); None: none has been seen."""
        return self._seen.heartbeats.row

    async def run(self) -> None:
        """Check for ever."""
        async with ConnectClient.of(self._settings, timeout=_TIMEOUT, busy=Busy(calls=1)) as client:
            while True:
                await self.check(client)
                await asyncio.sleep(_INTERVAL)

    async def check(self, client: ConnectClient) -> None:
        """Run all checks once. If a check fails, its values stay, and their age grows."""
        await self._try("connector", partial(self._connector, client))
        await self._try("offsets", partial(self._offsets, client))
        await self._try("heartbeats", self._heartbeats)
        if self._settings.retention_probe:
            await self._try("retention", self._retention)

    def update_gauges(self) -> None:
        """Set the gauges that change with time alone; called before each scrape, so that ages always grow."""
        seen, now, name = self._seen, self._clock.now_ms(), self._names.connector
        self._metrics.heartbeat_age.labels(name, "row").set(seen.age(seen.heartbeats.row, now))
        self._metrics.heartbeat_age.labels(name, "connector").set(seen.age(seen.heartbeats.connector, now))
        self._metrics.offset_age.labels(name).set(seen.age(seen.offsets_since or None, now))
        self._metrics.retention_headroom.clear()
        if (headroom := seen.headroom(now)) is not None:
            self._metrics.retention_headroom.labels(name).set(headroom)

    async def _connector(self, client: ConnectClient) -> None:
        name, running, up = self._names.connector, self._metrics.connector_running, self._metrics.connect_up
        # A gauge can show that a value is unknown only by its absence.
        running.clear()
        try:
            status = await client.status(name)
        except ConnectorMissing:
            up.labels(name).set(1)
            running.labels(name, "connector").set(0)
            raise
        except ConnectError:
            up.labels(name).set(0)
            raise
        up.labels(name).set(1)
        for part in status.parts():
            running.labels(name, part.name).set(part.state == "RUNNING")
        await self._restart(client, status)

    async def _restart(self, client: ConnectClient, status: Status) -> None:
        act = self._restarts.decide(status, self._clock.now_ms()) if self._leads() else RestartDecision.NOTHING
        parts = [part.name for part in status.failed]
        if act is RestartDecision.RESTART:
            log.warning("restarting failed parts", connector=status.name, parts=parts, attempt=self._restarts.done)
            await client.restart_failed(status.name)
            self._metrics.connector_restarts.labels(status.name).inc()
        if act is RestartDecision.GIVE_UP and not self._given_up:
            log.error("restarts did not help; see 'owdd connectors status'", connector=status.name, parts=parts)
        self._given_up = act is RestartDecision.GIVE_UP
        self._metrics.restarts_exhausted.labels(status.name).set(self._given_up)

    async def _offsets(self, client: ConnectClient) -> None:
        self._seen.record_offsets(await client.offsets(self._names.connector), self._clock.now_ms())

    async def _heartbeats(self) -> None:
        self._seen.record_heartbeats(await read_heartbeats(KafkaConfig.of(self._settings), self._names))

    async def _retention(self) -> None:
        # Cleared first: if the probe cannot be read, an old document must not show a headroom that no longer exists.
        self._seen.retained = None
        self._seen.retained = await read_retained(self._settings.retention_probe)

    async def _try(self, what: str, look: Callable[[], Awaitable[Any]]) -> None:
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - the guard must never stop the worker that it runs in
            kind = type(error).__name__
            self._metrics.guard_failures.labels(self._names.connector, what).inc()
            # A lasting failure is logged once, not every 15 seconds; the counter shows that it lasts.
            if self._last_errors.get(what) != kind:
                log.warning("capture guard check failed", at=what, reason=kind)
            self._last_errors[what] = kind
        else:
            self._last_errors.pop(what, None)
