"""Contacts, one at a time (contacts service v3).

Who is looked for is looked for by address; who is known is changed by id, since such a call names no address and so cannot
create a contact. A write brings a contact back from the recycle bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import httpx
import orjson

from streams.dotdigital.errors import NotFoundError
from streams.dotdigital.responses import ApiModel, Identifiers, address, read, seconds
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

Status: TypeAlias = Literal["subscribed", "unsubscribed"]

SUBSCRIBED: Final = "subscribed"
UNSUBSCRIBED: Final = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Contact:
    """What Dotdigital says of a contact.

    ``email_status`` is that of its e-mail channel, lower-cased like ``email``; ``updated`` is UTC epoch seconds, 0 if unknown.
    """

    contact_id: int
    email_status: str
    email: str = ""
    updated: int = 0


@dataclass(frozen=True, slots=True)
class Upserted:
    """The answer to a PATCH: the contact, and whether the call created it."""

    contact: Contact
    created: bool


class _Channel(ApiModel):
    status: str | None = None


class _Channels(ApiModel):
    email: _Channel | None = None


class ContactForm(ApiModel):
    """A contact as answers and listings have it."""

    contact_id: int
    status: str | None = None
    updated: str | None = None
    identifiers: Identifiers | None = None
    channel_properties: _Channels | None = None

    def contact(self) -> Contact:
        """The contact; without a status of the e-mail channel, that of the contact counts."""
        channel = self.channel_properties.email if self.channel_properties else None
        status = (channel.status if channel else None) or self.status or ""
        email = address(self.identifiers.email if self.identifiers else None)
        return Contact(self.contact_id, status.lower(), email, seconds(self.updated))


class ContactCalls(ApiGroup):
    """Calls for one contact."""

    async def find(self, email: str) -> Contact | None:
        """The contact with that address, or None."""
        try:
            answer = await self._call(Operation.GET_CONTACT, "GET", _path(email))
        except NotFoundError:
            return None
        return _contact(answer, Operation.GET_CONTACT)

    async def create(self, email: str, fields: bytes, status: Status, lists: Sequence[int] = ()) -> Contact:
        """Create a contact with an explicit status: without one Dotdigital would subscribe it.

        Raises:
            ContactExistsError: somebody created it in the meantime.
        """
        body = orjson.dumps({"identifiers": {"email": email}} | content(fields, status, lists))
        return _contact(await self._call(Operation.CREATE_CONTACT, "POST", "/contacts/v3", body), Operation.CREATE_CONTACT)

    async def upsert_by_email(
        self, email: str, fields: bytes, status: Literal["unsubscribed"] | None = None, lists: Sequence[int] = ()
    ) -> Upserted:
        """Write data fields by address and join ``lists``; ``status`` only to tighten. Creates the contact if it is gone."""
        body = orjson.dumps({"identifiers": {"email": email}} | content(fields, status, lists))
        answer = await self._call(Operation.PATCH_CONTACT, "PATCH", _path(email), body)
        return Upserted(_contact(answer, Operation.PATCH_CONTACT), answer.status_code == httpx.codes.CREATED)

    async def update_by_id(
        self, contact_id: int, fields: bytes, lists: Sequence[int] = (), status: Literal["unsubscribed"] | None = None
    ) -> Contact:
        """Write data fields by contact id and join ``lists``; ``status`` only to tighten. Names no address: cannot create.

        Raises:
            DataError: there is no such contact, or the fields are refused.
        """
        path, body = f"/contacts/v3/contactId/{contact_id}", orjson.dumps(content(fields, status, lists))
        return _contact(await self._call(Operation.CHANGE_CONTACT, "PATCH", path, body), Operation.CHANGE_CONTACT)

    async def delete(self, email: str) -> bool:
        """Delete a contact (into the recycle bin); False when there was none."""
        try:
            await self._call(Operation.DELETE_CONTACT, "DELETE", _path(email))
        except NotFoundError:
            return False
        return True


def content(fields: bytes, status: Status | None, lists: Sequence[int]) -> dict[str, Any]:
    """What a write says of a contact; ``fields`` is the JSON of its data fields and goes out as it is."""
    body: dict[str, Any] = {"dataFields": orjson.Fragment(fields)}
    if status is not None:
        body["channelProperties"] = {"email": {"status": status}}
    if lists:
        body["lists"] = list(lists)
    return body


def _path(email: str) -> str:
    return f"/contacts/v3/email/{quote(email, safe='')}"


def _contact(answer: httpx.Response, operation: Operation) -> Contact:
    return read(answer, operation, ContactForm).contact()
