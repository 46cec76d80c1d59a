"""The port for Prometheus and the orchestrator: ``/metrics``, ``/health/live``, ``/health/ready``."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import uvicorn
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streams.observability.loop_guard import LoopGuard
from streams.observability.metrics import Metrics


class Health:
    """Readiness as the worker's parts report it, and liveness of the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._checks: dict[str, Callable[[], bool]] = {}
        self._before_scrape: list[Callable[[], None]] = []
        self._remarks: dict[str, Callable[[], str | None]] = {}
        self._pages: list[Route] = []
        self._guard = LoopGuard()

    def check(self, name: str, ready: Callable[[], bool]) -> None:
        """Add a part that must be ready."""
        self._checks[name] = ready

    def remark(self, name: str, text: Callable[[], str | None]) -> None:
        """Add what a part has to say to whoever asks whether it is ready; None: nothing."""
        self._remarks[name] = text

    def page(self, route: Route) -> None:
        """Serve one more page, which guards itself."""
        self._pages.append(route)

    def before_scrape(self, refresh: Callable[[], None]) -> None:
        """Call ``refresh`` before metrics are read, for gauges that are cheaper to compute than to keep."""
        self._before_scrape.append(refresh)

    def app(self) -> Starlette:
        """The three pages."""

        async def metrics(_: Request) -> Response:
            for refresh in self._before_scrape:
                refresh()
            for name, check in self._checks.items():
                self._metrics.ready.labels(name).set(check())
            return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

        async def live(_: Request) -> Response:
            return JSONResponse({"live": True})

        async def ready(_: Request) -> Response:
            states = {name: check() for name, check in self._checks.items()}
            remarks = {name: remark for name, text in self._remarks.items() if (remark := text()) is not None}
            shown = {"ready": all(states.values()), "parts": states} | ({"remarks": remarks} if remarks else {})
            return JSONResponse(shown, 200 if all(states.values()) else 503)

        routes = [Route("/metrics", metrics), Route("/health/live", live), Route("/health/ready", ready)]
        return Starlette(routes=[*routes, *self._pages])

    async def watch(self) -> None:
        """Measure the loop's delay, and end the process if the loop stops completely. Runs until it is cancelled."""
        self._guard.start()
        while True:
            started = time.monotonic()
            await asyncio.sleep(0.25)
            self._guard.turned()
            self._metrics.loop_lag.set(max(0.0, time.monotonic() - started - 0.25))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the worker, which must finish and commit its work first."""
        yield


async def serve(health: Health, host: str, port: int) -> None:
    """Serve the pages until cancelled.

    Raises:
        OSError: the port is taken.
    """
    config = uvicorn.Config(health.app(), host=host, port=port, log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    try:
        await server.serve()
    finally:
        server.should_exit = True
