"""Opt-outs (v2): unsubscribe, suppress, and read back the contacts that were unsubscribed or suppressed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from streams.dotdigital.errors import MissingError
from streams.dotdigital.paging import MOST_V2, skipping
from streams.dotdigital.responses import ApiModel, address, read, seconds, stamp
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

RESUBSCRIBED: Final = "ContactAdded"
"""The contact is subscribed now. Other words: it was challenged, or it is suppressed and stays so."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A contact that was unsubscribed or suppressed.

    ``email`` and ``reason`` (Dotdigital's word) are lower-cased; ``at`` is UTC epoch seconds.
    """

    contact_id: int
    email: str
    reason: str
    at: int


class _SuppressedContact(ApiModel):
    id: int | None = None
    email: str | None = None


class _Removal(ApiModel):
    suppressed_contact: _SuppressedContact
    date_removed: str | None = None
    reason: str | None = None

    def shown(self) -> Removal:
        person = self.suppressed_contact
        return Removal(person.id or 0, address(person.email), (self.reason or "").lower(), seconds(self.date_removed))


class _Resubscribed(ApiModel):
    status: str | None = None


class _Suppressed(ApiModel):
    not_found: list[_SuppressedContact] | None = None


class SuppressionCalls(ApiGroup):
    """Calls about opt-outs."""

    async def unsubscribe(self, email: str) -> bool:
        """Unsubscribe a contact from everything; False if there is no such contact."""
        try:
            await self._call(Operation.UNSUBSCRIBE, "POST", "/v2/contacts/unsubscribe", orjson.dumps({"email": email}))
        except MissingError:
            return False
        return True

    async def resubscribe_without_challenge(self, email: str) -> str:
        """Subscribe a contact that is unsubscribed, without asking the person; Dotdigital's word for what came of it.

        Raises:
            DataError: there is no such contact, or it cannot be subscribed.
        """
        body = orjson.dumps({"unsubscribedContact": {"email": email}})
        response = await self._call(Operation.RESUBSCRIBE, "POST", "/v2/contacts/resubscribe-with-no-challenge", body)
        return read(response, Operation.RESUBSCRIBE, _Resubscribed).status or ""

    async def suppress(self, emails: Sequence[str]) -> frozenset[str]:
        """Suppress contacts; returns the addresses that are not in the account, lower-cased."""
        body = orjson.dumps([{"email": email} for email in emails])
        response = await self._call(Operation.SUPPRESS, "PUT", "/v2/contacts/suppress-contacts", body)
        return frozenset(address(row.email) for row in read(response, Operation.SUPPRESS, _Suppressed).not_found or ())

    def unsubscribed_since(self, moment: int) -> AsyncIterator[tuple[Removal, ...]]:
        """Contacts that unsubscribed at ``moment`` (UTC epoch seconds) or later, page by page."""
        return self._since(Operation.UNSUBSCRIBED_SINCE, moment)

    def suppressed_since(self, moment: int) -> AsyncIterator[tuple[Removal, ...]]:
        """Contacts that were suppressed at ``moment`` (UTC epoch seconds) or later, page by page."""
        return self._since(Operation.SUPPRESSED_SINCE, moment)

    async def _since(self, operation: Operation, moment: int) -> AsyncIterator[tuple[Removal, ...]]:
        path, seen, full = f"/v2/contacts/{operation}/{stamp(moment)}", 0, True
        while full:
            rows = read(await self._call(operation, "GET", path, query=skipping(seen)), operation, list[_Removal])
            yield tuple(row.shown() for row in rows)
            seen, full = seen + len(rows), len(rows) == MOST_V2
