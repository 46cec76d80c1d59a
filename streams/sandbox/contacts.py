"""The v3 contacts service, one contact at a time (`streams.sandbox.listing` pages over all of them).

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

from streams.sandbox import consent
from streams.sandbox.bodies import ContactBody, read_contact
from streams.sandbox.datafields import Scalar
from streams.sandbox.errors import bad_request, id_taken, invalid_id, invalid_value, json_response, not_found
from streams.sandbox.identifiers import CONTACT_ID, EMAIL, MOBILE, normalise
from streams.sandbox.store import Contact, Store
from streams.sandbox.views import full

OVERWRITE = "overwrite"
IF_NOT_EMPTY = "overwrite-if-not-empty"
IF_EMPTY = "overwrite-if-empty"
_MERGE_OPTIONS = (OVERWRITE, IF_NOT_EMPTY, IF_EMPTY)


class Contacts:
    """Handlers of `/contacts/v3` and `/contacts/v3/{identifier}/{value}`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._config = store.config

    async def create(self, request: Request) -> Response:
        body = read_contact(await request.body(), self._store, "POST")
        self._require_channel(body)
        if body.contact_id is not None:
            raise invalid_id(CONTACT_ID, body.contact_id)
        binned = self._binned_owner(body.identifiers)
        self._require_free(body.identifiers, binned)
        contact = self._new(body, body.identifiers) if binned is None else self._update(binned, body, OVERWRITE)
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
            return self._reply(self._update(contact, body, option))
        if kind == CONTACT_ID or body.contact_id is not None:
            raise invalid_id(CONTACT_ID, value if kind == CONTACT_ID else body.contact_id)
        self._require_channel(body)
        identifiers = {kind: value} | body.identifiers
        self._require_free(identifiers, None)
        return self._reply(self._new(body, identifiers), 201)

    async def replace(self, request: Request) -> Response:
        """PUT: identifiers and data fields become exactly what is sent.

        Channels, lists, preferences and consent records that are not mentioned stay, as a replacement that resets
        consent or membership is not documented.
        """
        contact = self._existing(request)
        body = read_contact(await request.body(), self._store, "PUT")
        self._require_channel(body)
        self._require_own_id(contact, body)
        self._require_free(body.identifiers, contact)
        status = self._status(contact, body, body.identifiers)
        if body.identifiers != contact.identifiers:
            self._store.rename(contact, body.identifiers)
        contact.data = {name: value for name, value in body.data.items() if value is not None}
        self._apply(contact, body, status)
        return self._reply(contact)

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

    def _new(self, body: ContactBody, identifiers: dict[str, str]) -> Contact:
        contact = self._store.create(identifiers)
        status = self._status(contact, body, identifiers)
        _merge_data(contact.data, body.data, OVERWRITE)
        self._apply(contact, body, status)
        contact.updated = contact.created
        return contact

    def _update(self, contact: Contact, body: ContactBody, option: str) -> Contact:
        self._require_own_id(contact, body)
        identifiers = contact.identifiers | body.identifiers
        renamed = identifiers != contact.identifiers
        if renamed:
            self._require_free(identifiers, contact)
        status = self._status(contact, body, identifiers)
        # Nothing below can fail: a refused call has changed nothing.
        if renamed:
            self._store.rename(contact, identifiers)
        contact.binned = None
        _merge_data(contact.data, body.data, option)
        self._apply(contact, body, status)
        return contact

    def _status(self, contact: Contact, body: ContactBody, identifiers: Mapping[str, str]) -> str:
        """The e-mail status after the write; a first address opens the channel, a lost one leaves it as it was."""
        if EMAIL not in identifiers:
            return contact.email_status
        confirm = body.opt_in == "VerifiedDouble" and contact.opt_in != "VerifiedDouble"
        if contact.email_status == consent.NO_CHANNEL:
            return consent.first_status(body.email_status, confirm=confirm or self._config.enforce_double_opt_in)
        try:
            return consent.next_status(contact.email_status, body.email_status, confirm=confirm, challenge=body.challenge)
        except consent.ResubscribeError:
            detail = ("channelProperties.email.status", "the channel's status does not allow resubscribing")
            raise bad_request("The contact cannot be resubscribed", [detail]) from None

    def _apply(self, contact: Contact, body: ContactBody, email_status: str) -> None:
        """Everything but identifiers and data fields."""
        contact.email_status = email_status
        contact.email_type = body.email_type or contact.email_type
        contact.opt_in = body.opt_in or contact.opt_in
        contact.sms_status = body.sms_status or contact.sms_status
        contact.whatsapp_status = body.whatsapp_status or contact.whatsapp_status
        contact.lists.extend(number for number in dict.fromkeys(body.lists) if number not in contact.lists)
        contact.preferences.update(body.preferences)
        contact.updated = now = self._store.now()
        contact.consents.extend(record | {"dateTimeCreated": now} for record in body.consents)

    def _binned_owner(self, identifiers: Mapping[str, str]) -> Contact | None:
        for kind, value in identifiers.items():
            contact = self._store.find(kind, value)
            if contact is not None and contact.binned is not None:
                return contact
        return None

    def _require_channel(self, body: ContactBody) -> None:
        if EMAIL not in body.identifiers and MOBILE not in body.identifiers:
            raise bad_request("A contact needs an email or a mobileNumber", [("identifiers", "is incomplete")])

    def _require_own_id(self, contact: Contact, body: ContactBody) -> None:
        if body.contact_id is not None and body.contact_id != contact.id:
            raise invalid_id(CONTACT_ID, body.contact_id)

    def _require_free(self, identifiers: Mapping[str, str], owner: Contact | None) -> None:
        taken = self._store.taken(identifiers, owner)
        if taken is not None:
            raise id_taken(*taken)

    def _reply(self, contact: Contact, status: int = 200) -> Response:
        return json_response(full(contact, self._config.lists), status)


def _merge_option(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    if not query:
        return OVERWRITE
    option = parse_qs(query.decode("latin-1")).get("merge-option", [OVERWRITE])[-1]
    if option not in _MERGE_OPTIONS:
        raise invalid_value([("merge-option", f"must be one of {', '.join(_MERGE_OPTIONS)}")])
    return option


def _merge_data(stored: dict[str, Scalar], incoming: Mapping[str, Scalar | None], option: str) -> None:
    """Take over `incoming`; null and the empty string are the blanks that the two cautious options speak of."""
    for name, value in incoming.items():
        if option == IF_NOT_EMPTY and value in (None, ""):
            continue
        if option == IF_EMPTY and stored.get(name) not in (None, ""):
            continue
        if value is None:
            stored.pop(name, None)
        else:
            stored[name] = value
