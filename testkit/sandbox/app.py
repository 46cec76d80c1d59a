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

from testkit.sandbox import snapshot
from testkit.sandbox.account import Account
from testkit.sandbox.addressbooks import AddressBookCalls
from testkit.sandbox.admin import Admin
from testkit.sandbox.config import Clock, SandboxConfig, utc_now
from testkit.sandbox.contact_routes import Contacts
from testkit.sandbox.contactimport import ContactImport
from testkit.sandbox.deletion import Deletion
from testkit.sandbox.enrolments import Enrolments
from testkit.sandbox.error_replies import ApiError, json_response, no_route, render_error
from testkit.sandbox.events import Events
from testkit.sandbox.faults import Faults
from testkit.sandbox.insight_records import Records
from testkit.sandbox.insightcollections import Collections
from testkit.sandbox.insightimport import InsightImport
from testkit.sandbox.listing import Listing
from testkit.sandbox.middleware import ADMIN_PREFIX, Middleware
from testkit.sandbox.segments import SegmentRoute
from testkit.sandbox.store import Store
from testkit.sandbox.subscriptions import Subscriptions
from testkit.sandbox.writing import Writer

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
        return Middleware(super().build_middleware_stack(), self.store, self.faults)

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
    `config` defines a data field that Dotdigital would refuse, ValueError when it holds a budget, a program or a fault
    that cannot be.
    """
    return SandboxApp(Store(config, clock), Faults(config.seed, clock, config.faults), state_dir)


def _routes(store: Store, faults: Faults) -> list[Route]:
    writer = Writer(store)
    contacts, imports, deletion = Contacts(store, writer), ContactImport(store, writer, faults), Deletion(store, faults)
    return [
        # Routes are tried in order, and nearly every call of a sync is this one.
        Route(CONTACT, contacts.merge, methods=["PATCH"]),
        Route("/contacts/v3/import/{importId}", imports.status, methods=["GET"]),
        Route("/contacts/v3/delete/{deleteId}", deletion.status, methods=["GET"]),
        Route(CONTACT, contacts.read, methods=["GET"]),
        Route("/contacts/v3/import", imports.start, methods=["PUT"]),
        Route(CONTACT, contacts.replace, methods=["PUT"]),
        Route(CONTACT, contacts.delete, methods=["DELETE"]),
        Route(CONTACTS, contacts.create, methods=["POST"]),
        Route(CONTACTS, Listing(store).read, methods=["GET"]),
        Route("/contacts/v3/delete", deletion.start, methods=["POST"]),
        *_insight_routes(store, faults),
        Route("/events/v3/import", Events(store).start, methods=["POST"]),
        *_v2_routes(store, faults, writer, deletion),
        *Admin(store, faults).routes(),
    ]


def _insight_routes(store: Store, faults: Faults) -> list[Route]:
    records, imports = Records(store), InsightImport(store, faults)
    collections = Collections(store, records)
    root = "/insightData/v3"
    account, contact = f"{root}/account", f"{root}/contacts/{{identifier}}/{{value}}"
    collection, owned = f"{root}/collections/{{collectionName}}", f"{contact}/{{collectionName}}"
    return [
        SegmentRoute(f"{root}/import", imports.start, methods=["PUT"]),
        SegmentRoute(f"{root}/import/{{importId}}", imports.status, methods=["GET"]),
        SegmentRoute(f"{root}/async/{{jobId}}", collections.job, methods=["GET"]),
        SegmentRoute(f"{root}/collections", collections.all, methods=["GET"]),
        SegmentRoute(collection, collections.create, methods=["POST"]),
        SegmentRoute(collection, collections.delete, methods=["DELETE"]),
        SegmentRoute(f"{collection}/empty", collections.empty, methods=["DELETE"]),
        SegmentRoute(f"{collection}/schema", collections.schema, methods=["GET"]),
        SegmentRoute(account, collections.of_account, methods=["GET"]),
        SegmentRoute(f"{root}/accounts/{{collectionName}}/deleteRecords", records.delete_keys, methods=["DELETE"]),
        SegmentRoute(f"{account}/{{collectionName}}", records.page, methods=["GET"]),
        *_record_routes(f"{account}/{{collectionName}}/{{recordId}}", records),
        SegmentRoute(f"{root}/contacts/{{collectionName}}", records.page, methods=["GET"]),
        SegmentRoute(contact, collections.of_contact, methods=["GET"]),
        SegmentRoute(owned, records.page, methods=["GET"]),
        SegmentRoute(f"{owned}/empty", collections.empty, methods=["DELETE"]),
        SegmentRoute(f"{owned}/deleteRecords", records.delete_keys, methods=["DELETE"]),
        *_record_routes(f"{owned}/{{recordId}}", records),
    ]


def _record_routes(path: str, records: Records) -> list[Route]:
    return [
        SegmentRoute(path, records.put, methods=["PUT"]),
        SegmentRoute(path, records.read, methods=["GET"]),
        SegmentRoute(path, records.delete, methods=["DELETE"]),
    ]


def _v2_routes(store: Store, faults: Faults, writer: Writer, deletion: Deletion) -> list[Route]:
    account, books = Account(store, faults), AddressBookCalls(store, writer)
    enrolments, consents = Enrolments(store), Subscriptions(store)
    book = "/v2/address-books/{list}"
    return [
        Route("/v2/account-info", account.info, methods=["GET"]),
        Route("/v2/server-time", account.server_time, methods=["GET"]),
        Route("/v2/data-fields", account.data_fields, methods=["GET"]),
        Route("/v2/data-fields", account.create_data_field, methods=["POST"]),
        Route("/v2/data-fields/{name}", account.delete_data_field, methods=["DELETE"]),
        Route("/v2/accounts/empty-recycle-bin", deletion.empty_bin, methods=["POST"]),
        Route("/v2/address-books", books.all, methods=["GET"]),
        Route("/v2/address-books", books.create, methods=["POST"]),
        Route(book, books.read, methods=["GET"]),
        Route(book, books.change, methods=["PUT"]),
        Route(book, books.delete, methods=["DELETE"]),
        Route(f"{book}/contacts", books.contacts, methods=["GET"]),
        Route(f"{book}/contacts", books.add, methods=["POST"]),
        Route(f"{book}/contacts/delete", books.remove_many, methods=["POST"]),
        Route(f"{book}/contacts/delete-all", books.remove_all, methods=["POST"]),
        Route(f"{book}/contacts/{{contactId}}", books.remove, methods=["DELETE"]),
        Route("/v2/contacts/deletion/{id}", books.removal, methods=["GET"]),
        Route("/v2/contacts/{id}/address-books", books.of_contact, methods=["GET"]),
        Route("/v2/contacts/unsubscribe", consents.unsubscribe, methods=["POST"]),
        Route("/v2/contacts/suppress-contacts", consents.suppress, methods=["PUT"]),
        Route("/v2/contacts/resubscribe", consents.resubscribe, methods=["POST"]),
        Route("/v2/contacts/resubscribe-with-no-challenge", consents.resubscribe_silently, methods=["POST"]),
        Route("/v2/contacts/unsubscribed-since/{date}", consents.unsubscribed_since, methods=["GET"]),
        Route("/v2/contacts/suppressed-since/{date}", consents.suppressed_since, methods=["GET"]),
        Route("/v2/contacts/modified-since/{date}", consents.modified_since, methods=["GET"]),
        Route("/v2/contacts/{id}", deletion.read_one, methods=["GET"]),
        Route("/v2/contacts/{id}", deletion.delete_one, methods=["DELETE"]),
        Route("/v2/programs", enrolments.programs, methods=["GET"]),
        Route("/v2/programs/enrolments", enrolments.start, methods=["POST"]),
        Route("/v2/programs/enrolments/{id}", enrolments.read, methods=["GET"]),
        Route("/v2/programs/enrolments/{id}/report-faults", enrolments.faults, methods=["GET"]),
        Route("/v2/programs/{id}", enrolments.program, methods=["GET"]),
    ]


async def _render_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, such as an unknown path, in the shape of the service that owns the path."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if path.startswith(ADMIN_PREFIX):
        return json_response({"message": error.detail}, error.status_code, error.headers)
    return json_response(no_route(path, error.status_code).body, error.status_code, error.headers)
