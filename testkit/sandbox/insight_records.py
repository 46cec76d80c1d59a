"""The v3 insight data service, record by record: PUT, GET, DELETE, deletion by keys, and listings.

There is no PATCH for a record: every write replaces the whole. A PUT into a collection that does not exist is a 404 and
creates nothing. How a PUT answers a record that does not fit its collection is not published; 400 `insightData:badJson`
naming the property is assumed. The records of a contact in the recycle bin are out of reach until it is brought back.
"""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox.error_replies import ApiError, json_response, v3_error
from testkit.sandbox.insight import ACCOUNT, CONTACT, Collection, Record, is_collection_name
from testkit.sandbox.insightschema import MisfitError
from testkit.sandbox.store import Store
from testkit.sandbox.v3 import find_contact, in_service, json_body, last, links, page_limit, read_marker, since

SERVICE = "insightData"
MOST_KEYS = 5000


class Records:
    """Handlers below `/insightData/v3/account/...` and `/insightData/v3/contacts/...`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, request: Request) -> Response:
        """201 for a new record, 204 for a replaced one."""
        owner, collection = self.place(request)
        value = await json_body(request, SERVICE)
        if not isinstance(value, dict):
            raise v3_error(400, f"{SERVICE}:badJson", "The record must be a JSON object")
        try:
            made = self._store.insight.put(collection, request.path_params["recordId"], value, owner)
        except MisfitError as error:
            raise v3_error(400, f"{SERVICE}:badJson", f"{error.reason}: {error}", [(error.path, str(error))]) from None
        return Response(status_code=201 if made else 204)

    async def read(self, request: Request) -> Response:
        owner, collection = self.place(request)
        return json_response(shown(_held(request, owner, collection)))

    async def delete(self, request: Request) -> Response:
        owner, collection = self.place(request)
        del collection.records[_held(request, owner, collection).key]
        return Response(status_code=204)

    async def delete_keys(self, request: Request) -> Response:
        owner, collection = self.place(request)
        members = await json_body(request, SERVICE)
        keys = members.get("keys") if isinstance(members, dict) else None
        if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS or not all(isinstance(key, str) for key in keys):
            raise v3_error(400, f"{SERVICE}:noRecordsSpecified", f"keys must be an array of 1 to {MOST_KEYS} record keys")
        unknown = []
        for key in keys:
            if _owned(collection, key, owner) is None:
                unknown.append(key)
            else:
                del collection.records[key]
        counts = {"totalRecords": len(keys), "totalDeleted": len(keys) - len(unknown), "totalNotFound": len(unknown)}
        return json_response({"summary": counts, "notFound": unknown})

    async def page(self, request: Request) -> Response:
        """The records of the account, of one contact, or of all contacts, by the order in which they were made."""
        params = request.path_params
        if "identifier" in params or request.url.path.startswith("/insightData/v3/account/"):
            owner, collection = self.place(request)
            rows = collection.owned(owner)
        else:
            collection = self.collection(params["collectionName"], CONTACT)
            rows = [record for record in collection.records.values() if self._in_reach(record)]
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        try:
            limit, after = page_limit(query), read_marker(last(query, "marker"))
            modified = since(text) if (text := last(query, "~modified")) is not None else ""
        except ApiError as error:
            raise in_service(error, SERVICE) from None
        matches = (record for record in rows if record.number > after and record.updated >= modified)
        found = list(islice(matches, limit + 1))
        following = found[limit - 1].number if len(found) > limit else None
        items = [shown(record) for record in found[:limit]]
        return json_response({"_items": items, "_links": links(request, query, after, following)})

    def place(self, request: Request) -> tuple[int | None, Collection]:
        """The owner (None for the account) and the collection in the path. Raises ApiError 400 or 404."""
        params = request.path_params
        if "identifier" not in params:
            return None, self.collection(params["collectionName"], ACCOUNT)
        owner = self.owner(params["identifier"], params["value"])
        return owner, self.collection(params["collectionName"], CONTACT)

    def owner(self, kind: str, value: str) -> int:
        """The id of a contact. Raises ApiError 400 `insightData:invalidId` or 404 `insightData:contactNotFound`."""
        try:
            contact = find_contact(self._store, kind, value)
        except ApiError as error:
            raise in_service(error, SERVICE) from None
        if contact is None:
            details = [(value, f"Not found using the identifier '{kind}'")]
            raise v3_error(404, f"{SERVICE}:contactNotFound", "The contact was not found", details)
        return contact.id

    def collection(self, name: str, scope: str | None) -> Collection:
        """Raises ApiError 400 `insightData:invalidId` or 404 `insightData:collectionNotFound`, also for another scope."""
        check_name(name)
        found = self._store.insight.find(name)
        if found is None or scope not in (None, found.scope):
            raise v3_error(404, f"{SERVICE}:collectionNotFound", "The collection was not found", [(name, "Not found")])
        return found

    def _in_reach(self, record: Record) -> bool:
        contact = self._store.find("contactId", str(record.owner))
        return contact is not None and contact.binned is None


def check_name(name: object) -> None:
    """Raises ApiError 400 `insightData:invalidId`."""
    if not is_collection_name(name):
        raise v3_error(400, f"{SERVICE}:invalidId", f"'{name}' cannot be the name of a collection")


def shown(record: Record) -> dict[str, Any]:
    """A record as replies have it; those of the account have no owner."""
    row: dict[str, Any] = {
        "key": record.key,
        "json": record.json,
        "created": record.created,
        "updated": record.updated,
    }
    return row if record.owner is None else row | {"ownerContactId": record.owner}


def _owned(collection: Collection, key: str, owner: int | None) -> Record | None:
    record = collection.records.get(key)
    return record if record is not None and record.owner == owner else None


def _held(request: Request, owner: int | None, collection: Collection) -> Record:
    key: str = request.path_params["recordId"]
    record = _owned(collection, key, owner)
    if record is None:
        details = [(key, f"Not found in the collection '{collection.name}'")]
        raise v3_error(404, f"{SERVICE}:recordNotFound", "The record was not found", details)
    return record
