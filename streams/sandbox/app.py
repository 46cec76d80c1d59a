"""Puts the sandbox together as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from streams.sandbox import snapshot
from streams.sandbox.account import Account
from streams.sandbox.admin import Admin
from streams.sandbox.config import Clock, SandboxConfig, utc_now
from streams.sandbox.contacts import Contacts
from streams.sandbox.errors import ApiError, json_response, no_route, render_error
from streams.sandbox.faults import Faults
from streams.sandbox.gate import ADMIN_PREFIX, Gate
from streams.sandbox.listing import Listing
from streams.sandbox.store import Store

CONTACTS = "/contacts/v3"
CONTACT = "/contacts/v3/{identifier}/{value:path}"
"""`path` lets an encoded slash through, which the server has decoded before routing."""


class SandboxApp(Starlette):
    """The application, with its state in reach of tests that run in the same process."""

    def __init__(self, store: Store, faults: Faults, state_dir: Path | None) -> None:
        self.store = store
        self.faults = faults
        self._state_dir = state_dir
        super().__init__(
            routes=_routes(store, faults),
            exception_handlers={ApiError: render_error, HTTPException: _render_http_error},
            lifespan=SandboxApp._lifespan,
        )
        # A redirect would hide a wrong path from the client under test.
        self.router.redirect_slashes = False

    def build_middleware_stack(self) -> ASGIApp:
        return Gate(super().build_middleware_stack(), self.store, self.faults)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        if self._state_dir is not None:
            snapshot.load(self.store, self._state_dir)
        yield
        if self._state_dir is not None:
            snapshot.save(self.store, self._state_dir)


def create_app(config: SandboxConfig, *, clock: Clock = utc_now, state_dir: Path | None = None) -> SandboxApp:
    """The sandbox for one account.

    With `state_dir` the ASGI lifespan loads the account from that directory and saves it there. Raises ApiError when
    `config` defines a data field that Dotdigital would refuse.
    """
    return SandboxApp(Store(config, clock), Faults(config.seed, clock), state_dir)


def _routes(store: Store, faults: Faults) -> list[Route]:
    contacts, listing, account = Contacts(store), Listing(store), Account(store, faults)
    return [
        # Routes are tried in order, and nearly every call of a sync is this one.
        Route(CONTACT, contacts.merge, methods=["PATCH"]),
        Route(CONTACT, contacts.read, methods=["GET"]),
        Route(CONTACT, contacts.replace, methods=["PUT"]),
        Route(CONTACT, contacts.delete, methods=["DELETE"]),
        Route(CONTACTS, contacts.create, methods=["POST"]),
        Route(CONTACTS, listing.read, methods=["GET"]),
        Route("/v2/account-info", account.info, methods=["GET"]),
        Route("/v2/server-time", account.server_time, methods=["GET"]),
        Route("/v2/data-fields", account.data_fields, methods=["GET"]),
        Route("/v2/data-fields", account.create_data_field, methods=["POST"]),
        *Admin(store, faults).routes(),
    ]


async def _render_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, such as an unknown path, in the shape of the service that owns the path."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if path.startswith(ADMIN_PREFIX):
        return json_response({"message": error.detail}, error.status_code, error.headers)
    return json_response(no_route(path, error.status_code).body, error.status_code, error.headers)
