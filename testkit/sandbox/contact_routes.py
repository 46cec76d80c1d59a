"""The v3 contacts service, one contact at a time (`testkit.sandbox.listing` pages over all of them).

Choices where the published material is silent: a binned contact is a 404 to GET, PUT and DELETE and cannot be taken
over by a rename (409), while PATCH (200) and POST (201) bring it back with its id, data and status; PATCH by an
unknown contactId is a 400, as ids are never the client's to give; creating by PATCH needs `email` or `mobileNumber`
in the body even when the path has it; every accepted PATCH moves `updated`, also one that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox.bodies import ContactBody, read_contact
from testkit.sandbox.error_replies import bad_request, invalid_id, invalid_value, json_response, not_found
from testkit.sandbox.identifiers import CONTACT_ID, EMAIL, MOBILE, normalise
from testkit.sandbox.store import Contact, Store
from testkit.sandbox.views import full
from testkit.sandbox.writing import MERGE_OPTIONS, OVERWRITE, Writer


class Contacts:
    """Handlers of `/contacts/v3` and `/contacts/v3/{identifier}/{value}`."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._config = store.config

    async def create(self, request: Request) -> Response:
        body = read_contact(await request.body(), self._store, "POST")
        self._require_channel(body)
        if body.contact_id is not None:
            raise invalid_id(CONTACT_ID, body.contact_id)
        binned = self._binned_owner(body.identifiers)
        self._writer.require_free(body.identifiers, binned)
        if binned is None:
            contact = self._writer.add(body, body.identifiers)
        else:
            contact = self._writer.update(binned, body, OVERWRITE)
        return self._reply(contact, 201)

    async def read(self, request: Request) -> Response:
        return self._reply(self._existing(request))

    async def merge(self, request: Request) -> Response:
        """PATCH: update what is sent, or create."""
        option = _merge_option(request)
        kind, value = self._path(request)
        body = read_contact(await request.body(), self._store, "PATCH")
        contact = self._store.find(kind, value)
        if contact is not None:
            return self._reply(self._writer.update(contact, body, option))
        if kind == CONTACT_ID or body.contact_id is not None:
            raise invalid_id(CONTACT_ID, value if kind == CONTACT_ID else body.contact_id)
        self._require_channel(body)
        identifiers = {kind: value} | body.identifiers
        self._writer.require_free(identifiers, None)
        return self._reply(self._writer.add(body, identifiers), 201)

    async def replace(self, request: Request) -> Response:
        """PUT: full replacement, and never a creation."""
        contact = self._existing(request)
        body = read_contact(await request.body(), self._store, "PUT")
        self._require_channel(body)
        return self._reply(self._writer.replace(contact, body))

    async def delete(self, request: Request) -> Response:
        contact = self._existing(request)
        self._store.bin(contact)
        return json_response({"contactId": contact.id})

    def _path(self, request: Request) -> tuple[str, str]:
        params = request.path_params
        kind: str = params["identifier"]
        return kind, normalise(kind, params["value"], self._config.custom_identifiers)

    def _existing(self, request: Request) -> Contact:
        kind, value = self._path(request)
        contact = self._store.find(kind, value)
        if contact is None or contact.binned is not None:
            raise not_found(kind, value)
        return contact

    def _binned_owner(self, identifiers: Mapping[str, str]) -> Contact | None:
        for kind, value in identifiers.items():
            contact = self._store.find(kind, value)
            if contact is not None and contact.binned is not None:
                return contact
        return None

    def _require_channel(self, body: ContactBody) -> None:
        if EMAIL not in body.identifiers and MOBILE not in body.identifiers:
            raise bad_request("A contact needs an email or a mobileNumber", [("identifiers", "is incomplete")])

    def _reply(self, contact: Contact, status: int = 200) -> Response:
        return json_response(full(contact, self._store.lists.names), status)


def _merge_option(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    if not query:
        return OVERWRITE
    option = parse_qs(query.decode("latin-1")).get("merge-option", [OVERWRITE])[-1]
    if option not in MERGE_OPTIONS:
        raise invalid_value([("merge-option", f"must be one of {', '.join(MERGE_OPTIONS)}")])
    return option
