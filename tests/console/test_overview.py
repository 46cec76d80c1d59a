"""The console's reader goes on, and says so when it cannot: odd records, odd pages, a broker that never answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from streams.console import overview as module
from streams.console.overview import Overview, Snapshot
from streams.mapping import load_mapping
from streams.operations.worker_ports import worker_metrics
from streams.settings import Settings
from tests.console.test_verdicts import RIGHT
from tests.patience import PATIENCE
from tests.served import served


@asynccontextmanager
async def reading(monkeypatch: pytest.MonkeyPatch, take: Callable[[], Awaitable[Snapshot]]) -> AsyncIterator[Overview]:
    """A reader that takes its numbers from ``take``, without a pause between two attempts."""
    monkeypatch.setattr(Overview, "_take", lambda _: take())
    monkeypatch.setattr(module, "_EVERY_SECONDS", 0.001)
    overview = Overview(Settings(), load_mapping(), None)
    running = asyncio.create_task(overview.run())
    async with asyncio.timeout(PATIENCE):
        yield overview
        overview.stop()
        await running


async def test_an_error_that_nobody_foresaw_is_shown_without_its_text_and_the_reader_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    attempts = iter(range(1_000_000))

    async def take() -> Snapshot:
        attempt = next(attempts)
        if attempt == 0:
            raise ValueError("ann@bright.example is no number")
        tried.set()
        await go_on.wait()
        if attempt == 2:
            done.set()
        return replace(RIGHT, at=module._now())

    async with reading(monkeypatch, take) as overview:
        await tried.wait()
        assert overview.error == "ValueError"
        go_on.set()
        await done.wait()
        assert overview.error is None


async def test_a_read_that_never_ends_is_given_up_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TAKE_SECONDS", 0.001)
    again, attempts = asyncio.Event(), iter(range(1_000_000))

    async def take() -> Snapshot:
        if next(attempts):
            again.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with reading(monkeypatch, take) as overview:
        await again.wait()
        assert (overview.error or "").startswith("TimeoutError")


async def test_numbers_that_nobody_renewed_are_called_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_SECONDS", PATIENCE)

    async def take() -> Snapshot:
        return replace(RIGHT, at=module._now() - 120_000)

    monkeypatch.setattr(Overview, "_take", lambda _: take())
    overview = Overview(Settings(), load_mapping(), None)
    running = asyncio.create_task(overview.run())
    assert await overview.latest() is not None
    assert overview.error == "nothing was read for more than a minute"
    overview.stop()
    await running


async def test_a_port_with_another_page_is_a_worker_that_does_not_answer() -> None:
    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("<html>another program</html>")

    async with served(Starlette(routes=[Route("/metrics", page)])) as port:
        found = await worker_metrics(Settings(workers=f"127.0.0.1:{port}"))
    assert found is not None
    assert (found.unreachable, found.samples) == ((f"http://127.0.0.1:{port}",), {})
