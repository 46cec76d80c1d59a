"""The console as an ASGI application: its routes, the headers of every response, and what runs behind the pages."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.console.access import Access
from streams.console.overview import Overview
from streams.console.pages import Pages
from streams.console.rendering import Templates
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from streams.operations.story_reading import Stories
from streams.settings import Settings

_HERE = Path(__file__).parent

_HEADERS: Final = {
    b"content-security-policy": b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}
_NOT_KEPT: Final = (b"cache-control", b"no-store")

log = structlog.get_logger()


def create_app(settings: Settings, mapping: Mapping) -> Starlette:
    """The console of one site.

    Raises:
        ConfigurationError: nobody could sign in.
    """
    access = Access.of(settings, SystemClock())
    stories = _stories(settings, mapping)
    overview = Overview(settings, mapping, stories)
    pages = Pages(settings, access, overview, stories, Templates(mapping.source.timezone))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if stories is not None:
                await stack.enter_async_context(stories)
            reading = asyncio.create_task(overview.run())
            try:
                yield
            finally:
                overview.stop()
                await reading

    async def live(_: Any) -> PlainTextResponse:
        return PlainTextResponse("live")

    routes = [
        *pages.routes(),
        Route("/health/live", live),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Headers)], exception_handlers=pages.errors())


def _stories(settings: Settings, mapping: Mapping) -> Stories | None:
    """None where no worker is named: then the console has no page of a contact, and says so there."""
    try:
        return Stories(settings, mapping, keyed_hash(b"console", settings.hash_key.get_secret_value().encode()))
    except ConfigurationError as error:
        log.warning("the console cannot show contacts", reason=str(error))
        return None


class _Headers:
    """Adds to every response what keeps browsers from loading, framing or keeping anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = scope["path"].startswith("/static/")

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items(), *([] if kept else [_NOT_KEPT])]
            await send(message)

        await self._app(scope, receive, send_with_headers)
