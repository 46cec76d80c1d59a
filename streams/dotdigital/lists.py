"""Lists, which v2 calls address books. A v3 write adds a contact to a list; only v2 can remove one."""

from dataclasses import dataclass

import orjson

from streams.dotdigital.errors import MissingError
from streams.dotdigital.paging import MOST_V2, skipping
from streams.dotdigital.responses import ApiModel, read
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list and how many contacts are on it."""

    list_id: int
    name: str
    contacts: int


class _Book(ApiModel):
    id: int
    name: str
    contacts: int | None = None


class ListCalls(ApiGroup):
    """Calls for lists."""

    async def lists(self) -> tuple[ContactList, ...]:
        """All lists of the account."""
        found: list[ContactList] = []
        while True:
            response = await self._call(Operation.LIST_LISTS, "GET", "/v2/address-books", query=skipping(len(found)))
            rows = read(response, Operation.LIST_LISTS, list[_Book])
            found += [ContactList(row.id, row.name, row.contacts or 0) for row in rows]
            if len(rows) < MOST_V2:
                return tuple(found)

    async def create_list(self, name: str) -> None:
        """Create a private list.

        Raises:
            DataError: a list or a segment has that name.
        """
        body = orjson.dumps({"name": name, "visibility": "Private"})
        await self._call(Operation.CREATE_LIST, "POST", "/v2/address-books", body)

    async def leave_list(self, list_id: int, contact_id: int) -> bool:
        """Remove a contact from a list; False if there is no such contact.

        Raises:
            MissingError: there is no such list.
        """
        path = f"/v2/address-books/{list_id}/contacts/{contact_id}"
        try:
            await self._call(Operation.LEAVE_LIST, "DELETE", path)
        except MissingError as error:
            # A missing list is a fault of the configuration and must not pass for success; a missing contact is on no list.
            if error.code != "ERROR_CONTACT_NOT_FOUND":
                raise
            return False
        return True
