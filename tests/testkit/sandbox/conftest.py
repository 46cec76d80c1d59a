"""One sandbox account in memory, reached through ASGI, under a clock that only tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from testkit.sandbox import SandboxApp, SandboxConfig, create_app

CREDENTIALS = ("sandbox@apiconnector.example", "a-password-1")


class ManualClock:
    def __init__(self) -> None:
        self.moment = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, step: timedelta) -> None:
        self.moment += step


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def advance(clock: ManualClock) -> Callable[[timedelta], None]:
    return clock.advance


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(
        *CREDENTIALS,
        data_fields={"OW_SPEND": "Numeric", "OW_LAST": "Date", "OW_TRADE": "Boolean", "OW_ACCOUNT": "String"},
        lists={7: "Recent buyers"},
        programs={5: "Active", 6: "Draft"},
        custom_identifiers=frozenset({"erpId"}),
        seed=11,
    )


@pytest.fixture
def box(config: SandboxConfig, clock: ManualClock) -> SandboxApp:
    return create_app(config, clock=clock)


@pytest_asyncio.fixture
async def api(box: SandboxApp) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(box)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", auth=CREDENTIALS) as client:
        yield client
