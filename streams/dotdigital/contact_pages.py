"""Reading contacts back, page by page (contacts service v3)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from streams.dotdigital.contact_calls import Contact, WholeContactForm
from streams.dotdigital.paging import MOST_V3, Links, since
from streams.dotdigital.responses import ApiModel, read
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page. ``marker`` leads to the next page, also in a later call, and is None on the last page."""

    contacts: tuple[Contact, ...]
    marker: str | None


class _Page(ApiModel):
    items: list[WholeContactForm] | None = msgspec.field(default=None, name="_items")
    links: Links | None = msgspec.field(default=None, name="_links")


class ReadingCalls(ApiGroup):
    """Calls that page over the account's contacts."""

    async def contacts_since(
        self,
        modified: int | None,
        *,
        with_status: bool = True,
        fields: Sequence[str] = (),
        marker: str | None = None,
        limit: int = MOST_V3,
    ) -> AsyncIterator[ContactPage]:
        """Contacts that have an address and changed at ``modified`` (UTC epoch seconds) or later, lowest id first.

        Args:
            modified: None reads all contacts.
            with_status: ask for the e-mail channel's status; without it ``email_status`` is the contact's overall status.
            fields: ask for these data fields and for the lists, too; the contacts have a ``profile`` with them then.
            marker: the marker at which an earlier call with the same filter stopped.
            limit: contacts in a page, at most 5000.
        """
        included = [*(["channelProperties"] if with_status else []), *(["lists"] if fields else [])]
        query = {"limit": str(limit)} | since(modified) | ({"include": "|".join(included)} if included else {})
        if fields:
            query["data-fields"] = "|".join(fields)
        while True:
            found = query if marker is None else query | {"marker": marker}
            response = await self._call(Operation.LIST_CONTACTS, "GET", "/contacts/v3", query=found)
            page = read(response, Operation.LIST_CONTACTS, _Page)
            marker = page.links.following() if page.links else None
            contacts = (row.whole() for row in page.items or ())
            yield ContactPage(tuple(contact for contact in contacts if contact.email), marker)
            if marker is None:
                return
