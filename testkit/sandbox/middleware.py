"""The door of the sandbox: credentials, budgets, faults and the request log, outside the Starlette stack.

It is the outermost ASGI layer because losing a reply needs the server's own `send`, whose connection can be aborted.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from time import perf_counter

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from testkit.sandbox import faults as kinds
from testkit.sandbox import refusals, response_mutations
from testkit.sandbox.auth import BasicAuth
from testkit.sandbox.error_replies import json_response
from testkit.sandbox.faults import Faults
from testkit.sandbox.store import Store

ADMIN_PREFIX = "/_sandbox/"
_REGION_FREE = "/v2/account-info"
"""Answers in every region: it is how a client finds its own."""

_NO_HEADERS: Mapping[str, str] = {}


class Middleware:
    """Screens every API call, then lets it through to `app`; admin calls pass unscreened from loopback only."""

    def __init__(self, app: ASGIApp, store: Store, faults: Faults) -> None:
        self._app = app
        self._store = store
        self._faults = faults
        self._auth = BasicAuth(store.config.user, store.config.password)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(ADMIN_PREFIX):
            allowed = _is_loopback(scope)
            refusal = json_response({"message": "The sandbox is administered from its own machine only"}, 403)
            # What an admin call shows must not wait for the next API call.
            self._store.jobs.settle(self._store.clock().timestamp())
            await (self._app if allowed else refusal)(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        at = self._store.clock().timestamp()
        if not self._faults.quiet and (delay := self._faults.delay()):
            await asyncio.sleep(delay)
        if at >= self._store.jobs.due:
            self._store.jobs.settle(at)
        sent_path = scope["raw_path"].decode("latin-1")
        fault, refusal, headers = self._screen(scope, sent_path, at)
        status = 500
        held: list[Message] | None = [] if fault in kinds.AFTERWARDS else None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if headers:
                    message["headers"] = [*message["headers"], *_encoded(headers)]
            if held is None:
                await send(message)
            else:
                held.append(message)

        try:
            await (refusal or self._app)(scope, receive, watch)
            if fault == kinds.HANG:
                await _wait_for_disconnect(receive, self._faults.settings.hang_seconds)
        finally:
            elapsed = (perf_counter() - started) * 1000
            self._store.log.add(at, scope["method"], sent_path, status, elapsed, fault)
        if fault == kinds.LOST_REPLY:
            await _drop_connection(receive, send)
        else:
            for message in response_mutations.apply(fault, held) if held else ():
                await send(message)

    def _screen(self, scope: Scope, sent_path: str, at: float) -> tuple[str | None, Response | None, Mapping[str, str]]:
        """The fault that hits the call, the reply that refuses it, and headers for the reply it gets otherwise."""
        path: str = scope["path"]
        settings = self._faults.settings
        if settings.outage:
            return "outage", self._faults.refusal("http_503", scope["method"], sent_path), _NO_HEADERS
        if settings.wrong_region and path != _REGION_FREE:
            return "wrong_region", refusals.wrong_region(), _NO_HEADERS
        if settings.unauthorized or not self._auth.accepts(_header(scope, b"authorization")):
            return "unauthorized" if settings.unauthorized else None, refusals.unauthorized(path), _NO_HEADERS
        headers = _NO_HEADERS
        if self._store.limits.active:
            headers, refusal = self._store.limits.take(scope["method"], sent_path, at)
            if refusal is not None:
                return None, refusal, _NO_HEADERS
        fault = None if self._faults.quiet else self._faults.draw()
        if fault is None or fault in kinds.AFTERWARDS:
            return fault, None, headers
        return fault, self._faults.refusal(fault, scope["method"], sent_path), _NO_HEADERS


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for name, value in headers if name == wanted), None)


def _is_loopback(scope: Scope) -> bool:
    client: tuple[str, int] | None = scope.get("client")
    return client is None or ipaddress.ip_address(client[0]).is_loopback


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait_for_disconnect(receive: Receive, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await _disconnected(receive)
    except TimeoutError:
        pass


async def _drop_connection(receive: Receive, send: Send) -> None:
    """Abort the connection without a byte of reply.

    uvicorn hands out `send` as a method of an object that holds the transport. Other servers, and httpx's in-memory
    transport, are left by an exception instead: the latter shows it to the client as is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the sandbox lost this reply on purpose")
    transport.abort()
    # Until uvicorn has noticed, leaving would make it report an application that forgot to answer.
    await _disconnected(receive)
