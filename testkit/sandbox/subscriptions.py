"""The v2 calls on consent: unsubscribe, suppress, resubscribe, and what changed since a date.

Choices: an unknown e-mail is a 404; a resubscription with a challenge leaves the contact as it is until the holder
answers; contacts in the recycle bin are not in any listing. As in the specification's examples, the suppressed of
`suppressed-since` include those who unsubscribed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import v2
from testkit.sandbox.consent import HARD_STATUSES, MAILABLE
from testkit.sandbox.error_replies import json_response, v2_error
from testkit.sandbox.store import Contact, Store

_UNSUBSCRIBED = frozenset(("unsubscribed",))
_SUPPRESSED = HARD_STATUSES | _UNSUBSCRIBED
_MOST_MODIFIED = 2000


class Subscriptions:
    """Handlers under `/v2/contacts`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def unsubscribe(self, request: Request) -> Response:
        contact = self._contact((await v2.object_body(request)).get("email"))
        if contact.email_status not in HARD_STATUSES:
            self._move(contact, "unsubscribed")
        return json_response(_removal(contact))

    async def suppress(self, request: Request) -> Response:
        rows = await v2.json_body(request)
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise v2_error(400, "Error: ERROR_CONTACTS_ARE_NOT_SPECIFIED")
        reply: dict[str, list[dict[str, Any]]] = {"suppressed": [], "notFound": []}
        for row in rows:
            by_id = "id" in row
            contact = v2.contact_by_id(self._store, row["id"]) if by_id else v2.contact_by_email(self._store, row.get("email"))
            if contact is not None and contact.email_status not in HARD_STATUSES:
                self._move(contact, "suppressed")
            shown = {"id": row["id"] if by_id else 0, "email": row.get("email")}
            reply["notFound" if contact is None else "suppressed"].append(shown)
        return json_response(reply)

    async def resubscribe(self, request: Request) -> Response:
        return await self._resubscribe(request, "ContactChallenged")

    async def resubscribe_silently(self, request: Request) -> Response:
        return await self._resubscribe(request, "ContactAdded")

    async def unsubscribed_since(self, request: Request) -> Response:
        return self._since(request, _UNSUBSCRIBED)

    async def suppressed_since(self, request: Request) -> Response:
        return self._since(request, _SUPPRESSED)

    async def modified_since(self, request: Request) -> Response:
        full = request.query_params.get("withFullData", "false").lower() == "true"
        date = v2.since(request)
        rows = self._listed(lambda contact: contact.updated >= date)
        return json_response([v2.shown(contact, full=full) for contact in v2.paged(request, rows, _MOST_MODIFIED)])

    async def _resubscribe(self, request: Request, answer: str) -> Response:
        member = (await v2.object_body(request)).get("unsubscribedcontact")
        contact = self._contact(member.get("email") if isinstance(member, dict) else None)
        if contact.email_status in HARD_STATUSES:
            answer = "ContactCannotBeUnsuppressed"
        elif contact.email_status in MAILABLE:
            answer = "ContactAdded"
        elif answer == "ContactAdded":
            self._move(contact, "subscribed")
        return json_response({"contact": v2.shown(contact, full=False), "status": answer})

    def _since(self, request: Request, statuses: frozenset[str]) -> Response:
        date = v2.since(request)
        rows = self._listed(lambda contact: contact.email_status in statuses and _removed(contact) >= date)
        return json_response([_removal(contact) for contact in v2.paged(request, rows)])

    def _listed(self, test: Callable[[Contact], bool]) -> list[Contact]:
        return [contact for contact in self._store.after(0) if contact.email is not None and test(contact)]

    def _contact(self, email: object) -> Contact:
        contact = v2.contact_by_email(self._store, email)
        if contact is None:
            raise v2.no_contact()
        return contact

    def _move(self, contact: Contact, status: str) -> None:
        contact.updated = now = self._store.now()
        contact.set_email_status(status, now)


def _removed(contact: Contact) -> str:
    return contact.email_moved or contact.updated


def _removal(contact: Contact) -> dict[str, Any]:
    return {"suppressedContact": v2.shown(contact, full=False), "dateRemoved": _removed(contact), "reason": v2.status(contact)}
