"""Contacts, one at a time (contacts service v3).

A contact whose id we do not know is addressed by e-mail. A contact whose id we know is updated by id: such a call names no
address, so it cannot create a contact. Any write restores a contact from the recycle bin (Dotdigital's reference, "import
contact"), so a late write can undo an erasure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
_NONE: Final = "nosubscription"


@dataclass(frozen=True, slots=True)
class Profile:
    """What Dotdigital shows of a contact besides its status.

    ``fields`` are its data fields with their values, ``lists`` the ids of its lists. ``preferences``: it has chosen one;
    ``consent_records``: it has some; ``channels``: it has other channels than e-mail.
    """

    fields: Mapping[str, object] = field(default_factory=dict)
    lists: frozenset[int] = frozenset()
    preferences: bool = False
    consent_records: bool = False
    channels: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as Dotdigital returned it.

    ``email_status`` is the status of its e-mail channel. It and ``email`` are lower-cased, because responses and requests use
    different cases. ``updated`` and ``created`` are UTC epoch seconds, 0 if unknown. Only a look at one contact, and a listing
    that asks for it, show the ``profile``.
    """

    contact_id: int
    email_status: str
    email: str = ""
    updated: int = 0
    profile: Profile = Profile()
    created: int = 0


@dataclass(frozen=True, slots=True)
class Upserted:
    """The response to a PATCH: the contact, and whether the call created it."""

    contact: Contact
    created: bool


class _Channel(ApiModel):
    status: str | None = None


class _Channels(ApiModel):
    email: _Channel | None = None


class ContactForm(ApiModel):
    """A contact in responses and listings."""

    contact_id: int
    status: str | None = None
    created: str | None = None
    updated: str | None = None
    identifiers: Identifiers | None = None
    channel_properties: _Channels | None = None

    def contact(self) -> Contact:
        """The contact. Listings without ``channelProperties`` have no channel status; the contact's own status is used then."""
        channel = self.channel_properties.email if self.channel_properties else None
        status = (channel.status if channel else None) or self.status or ""
        email = address(self.identifiers.email if self.identifiers else None)
        return Contact(self.contact_id, status.lower(), email, seconds(self.updated), created=seconds(self.created))


class _Member(ApiModel):
    id: int


class _Preference(ApiModel):
    is_opted_in: bool = False


class _AllChannels(ApiModel):
    email: _Channel | None = None
    sms: _Channel | None = None
    whats_app: _Channel | None = None


class WholeContactForm(ContactForm):
    """A contact with what it shows besides its status: all of it, or what was asked for."""

    channel_properties: _AllChannels | None = None  # type: ignore[assignment]  # the same and more
    data_fields: dict[str, Any] | None = None
    lists: list[_Member] | None = None
    preferences: list[_Preference] | None = None
    consent_records: list[dict[str, Any]] | None = None

    def whole(self) -> Contact:
        """The contact with its profile."""
        channels = self.channel_properties
        others = () if channels is None else (channels.sms, channels.whats_app)
        profile = Profile(
            fields=self.data_fields or {},
            lists=frozenset(member.id for member in self.lists or ()),
            preferences=any(preference.is_opted_in for preference in self.preferences or ()),
            consent_records=bool(self.consent_records),
            channels=any((other.status or _NONE).lower() != _NONE for other in others if other is not None),
        )
        return replace(self.contact(), profile=profile)


class ContactCalls(ApiGroup):
    """Calls for one contact."""

    async def find(self, email: str) -> Contact | None:
        """The contact with that address, or None if there is none."""
        return await self._look(_path(email))

    async def find_by_id(self, contact_id: int) -> Contact | None:
        """The contact with that id, whatever its address is by now, or None if there is none."""
        return await self._look(_path_of_id(contact_id))

    async def _look(self, path: str) -> Contact | None:
        try:
            response = await self._call(Operation.GET_CONTACT, "GET", path)
        except NotFoundError:
            return None
        return read(response, Operation.GET_CONTACT, WholeContactForm).whole()

    async def create(self, email: str, fields: bytes, status: Status, lists: Sequence[int] = ()) -> Contact:
        """Create a contact. The status is required: Dotdigital subscribes a new contact whose status is omitted.

        Args:
            email: the address, lower-cased.
            fields: the JSON object of its data fields.
            status: the status of its e-mail channel.
            lists: ids of the lists to join.

        Raises:
            ContactExistsError: another system has created the contact in the meantime.
            DataError: the address or a field is refused.
        """
        body = orjson.dumps({"identifiers": {"email": email}} | content(fields, status, lists))
        return _contact(await self._call(Operation.CREATE_CONTACT, "POST", "/contacts/v3", body), Operation.CREATE_CONTACT)

    async def upsert_by_email(
        self, email: str, fields: bytes, status: Literal["unsubscribed"] | None = None, lists: Sequence[int] = ()
    ) -> Upserted:
        """Write data fields by address, and join ``lists``. Creates the contact if it does not exist.

        ``status`` can only unsubscribe: writing ``subscribed`` could undo an opt-out, or send the contact a challenge e-mail.

        Raises:
            DataError: the address or a field is refused.
        """
        # A PATCH that may create needs the identifiers in its body as well as in its path.
        body = orjson.dumps({"identifiers": {"email": email}} | content(fields, status, lists))
        response = await self._call(Operation.PATCH_CONTACT, "PATCH", _path(email), body)
        return Upserted(_contact(response, Operation.PATCH_CONTACT), response.status_code == httpx.codes.CREATED)

    async def update_by_id(
        self, contact_id: int, fields: bytes, lists: Sequence[int] = (), status: Literal["unsubscribed"] | None = None
    ) -> Contact:
        """Write data fields by contact id, and join ``lists``. It names no address, so it cannot create a contact.

        Raises:
            DataError: there is no such contact, or a field is refused.
        """
        body = orjson.dumps(content(fields, status, lists))
        response = await self._call(Operation.CHANGE_CONTACT, "PATCH", _path_of_id(contact_id), body)
        return _contact(response, Operation.CHANGE_CONTACT)

    async def rename(
        self, contact_id: int, email: str, fields: bytes, status: Literal["unsubscribed"] | None = None
    ) -> Contact:
        """Give a contact another address, and write its data fields, in one call. Id, lists and whatever else it has stay.

        Raises:
            ContactExistsError: another contact has the address, perhaps one in the recycle bin.
            DataError: there is no such contact, or the address or a field is refused.
        """
        body = orjson.dumps({"identifiers": {"email": email}} | content(fields, status, ()))
        response = await self._call(Operation.CHANGE_CONTACT, "PATCH", _path_of_id(contact_id), body)
        return _contact(response, Operation.CHANGE_CONTACT)

    async def delete(self, email: str) -> bool:
        """Delete a contact; False if there was none. Any write restores it from the recycle bin, for about 30 days."""
        try:
            await self._call(Operation.DELETE_CONTACT, "DELETE", _path(email))
        except NotFoundError:
            return False
        return True


def content(fields: bytes, status: Status | None, lists: Sequence[int]) -> dict[str, Any]:
    """The body of a write; ``fields`` is the JSON of the data fields and is sent unchanged.

    Without a ``status`` the member is omitted, which leaves the status of an existing contact as it is.
    """
    body: dict[str, Any] = {"dataFields": orjson.Fragment(fields)}
    if status is not None:
        body["channelProperties"] = {"email": {"status": status}}
    if lists:
        body["lists"] = list(lists)
    return body


def _path(email: str) -> str:
    return f"/contacts/v3/email/{quote(email, safe='')}"


def _path_of_id(contact_id: int) -> str:
    return f"/contacts/v3/contactId/{contact_id}"


def _contact(response: httpx.Response, operation: Operation) -> Contact:
    return read(response, operation, ContactForm).contact()
