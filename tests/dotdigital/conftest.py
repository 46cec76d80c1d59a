"""The client against a sandbox account in memory, under a clock that only tests move."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx
import pytest
import pytest_asyncio

from streams.core.lanes import Lane
from streams.dotdigital.client import ClientConfig, DotdigitalClient
from streams.dotdigital.tiers import Budget, Call, RateLimit, Tier
from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from testkit.sandbox.store import Contact

USER, PASSWORD = "sandbox@apiconnector.example", "a-password-1"
NOON = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


class Recorder:
    """A budget that grants everything and remembers what it was asked and told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Tier, Lane]] = []
        self.responses: list[tuple[Tier, RateLimit | None, bool]] = []

    async def acquire(self, tier: Tier, lane: Lane) -> None:
        self.asked.append((tier, lane))

    def record_response(self, tier: Tier, rate: RateLimit | None, throttled: bool) -> None:
        self.responses.append((tier, rate, throttled))


class Person(Protocol):
    """Puts a contact into the account."""

    def __call__(self, email: str, status: str = "subscribed") -> Contact: ...


def settings_for(url: str = "http://sandbox", user: str = USER, password: str = PASSWORD, connections: int = 8) -> ClientConfig:
    return ClientConfig(url, user, password, connections)


@pytest.fixture
def now() -> list[datetime]:
    return [NOON]


@pytest.fixture
def advance(now: list[datetime]) -> Callable[[float], None]:
    """Moves the account's clock, in seconds."""

    def move(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    return move


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(
        USER,
        PASSWORD,
        data_fields={"OW_SPEND": "Numeric", "OW_LAST": "Date"},
        lists={7: "Recent buyers"},
        programs={5: "Active", 6: "Draft"},
        import_seconds=5.0,
        seed=11,
    )


@pytest.fixture
def box(config: SandboxConfig, now: list[datetime]) -> SandboxApp:
    return create_app(config, clock=lambda: now[0])


@pytest.fixture
def person(box: SandboxApp) -> Person:
    def put(email: str, status: str = "subscribed") -> Contact:
        made = box.store.create({"email": email})
        made.set_email_status(status, box.store.now())
        return made

    return put


@pytest.fixture
def calls() -> list[Call]:
    """What the observer was told."""
    return []


@pytest.fixture
def budget() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture
async def client(box: SandboxApp, calls: list[Call], budget: Budget) -> AsyncIterator[DotdigitalClient]:
    async with DotdigitalClient(settings_for(), calls.append, httpx.ASGITransport(box), budget) as made:
        yield made


@pytest_asyncio.fixture
async def answering() -> AsyncIterator[Callable[[httpx.Response], DotdigitalClient]]:
    """Makes a client to whom every call is answered with the same reply."""
    async with AsyncExitStack() as stack:

        def make(answer: httpx.Response) -> DotdigitalClient:
            made = DotdigitalClient(settings_for(), print, httpx.MockTransport(lambda _: answer))
            stack.push_async_exit(made)
            return made

        yield make
