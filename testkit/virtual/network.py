"""The way to Dotdigital in a virtual world: it takes its time, it can be cut, and it remembers every call."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from testkit.sandbox import SandboxApp
from testkit.sandbox.calls import call_of, tier_of
from testkit.virtual.backlog import Backlog
from testkit.virtual.event_loop import VirtualClock
from testkit.virtual.trace import Deliverable
from testkit.virtual.wire import ParsedCall, nothing_new, read, refused


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``at`` is when it arrived (epoch ms), ``tier`` what pays for it, ``status`` 0 when nothing answered.

    ``rows`` is how many deliverables it carried, ``useless`` that Dotdigital held all of it already; ``repeated`` if it did
    after a call that was never answered, so that nobody could know.
    """

    at: int
    method: str
    route: str
    tier: str | None
    status: int
    rows: int
    useless: bool = False
    repeated: bool = False

    @property
    def reading(self) -> bool:
        """Whether it reads back who is there, who unsubscribed or who was suppressed, and delivers nothing."""
        return self.method == "GET" and (self.route == "/contacts/v3" or self.route.endswith("-since/{date}"))

    @property
    def batched(self) -> bool:
        """Whether it is an import."""
        return self.route.endswith("/import")


class Network(httpx.AsyncBaseTransport):
    """Carries calls to the sandbox; an answer takes ``seconds``."""

    def __init__(self, app: SandboxApp, clock: VirtualClock, ledger: Backlog, seconds: float) -> None:
        self._app = app
        self._asgi = httpx.ASGITransport(app)
        self._clock = clock
        self._ledger = ledger
        self._seconds = seconds
        self.down = False
        self.calls: list[Call] = []
        self._doubtful: set[Deliverable] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a call.

        Raises:
            httpx.ConnectTimeout: the way is cut.
            httpx.ReadError: the reply was lost.
        """
        left, body = self._clock.now_ms(), await request.aread()
        method, path = request.method, request.url.raw_path.split(b"?")[0].decode()
        store = self._app.store
        carried = read(method, path, body, store)
        if self.down:
            self._note(left, method, path, 0, carried)
            await asyncio.sleep(request.extensions["timeout"]["connect"])
            raise httpx.ConnectTimeout("the network is cut", request=request)
        await asyncio.sleep(self._seconds / 2)
        at = self._clock.now_ms()
        # What an import did is not the doing of the call that happens to come next.
        store.jobs.settle(store.clock().timestamp())
        vain = bool(carried) and all(nothing_new(said, store) for said in carried)
        try:
            answer = await self._asgi.handle_async_request(request)
        except ConnectionAbortedError as error:
            self._note(at, method, path, 0, carried)
            raise httpx.ReadError("the reply was lost", request=request) from error
        self._note(at, method, path, answer.status_code, carried, vain=vain)
        if answer.is_success:
            for said in carried:
                self._ledger.delivered(said, left, refused=refused(said, store))
        await asyncio.sleep(self._seconds / 2)
        return answer

    def _note(self, at: int, method: str, path: str, status: int, carried: Sequence[ParsedCall], *, vain: bool = False) -> None:
        about = {said.deliverable for said in carried}
        doubt = not about.isdisjoint(self._doubtful)
        if not status:
            self._doubtful |= about
        elif status < httpx.codes.BAD_REQUEST:
            self._doubtful -= about
        else:
            vain = False
        route, tier = call_of(path).route, tier_of(method, path)
        self.calls.append(Call(at, method, route, tier, status, len(carried), vain and not doubt, vain and doubt))
