"""Insight data (v3): collections and their records, one at a time and in bulk.

Every write replaces the whole record, and the first value of a property fixes its type until the collection is deleted. A
record of a contact is addressed through the contact. Writing a record never creates the contact, and only an import creates
the collection.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import httpx
import msgspec
import orjson

from streams.dotdigital.codes import canonical
from streams.dotdigital.errors import MissingError, NotFoundError
from streams.dotdigital.imports import ImportState, state
from streams.dotdigital.paging import MOST_V3, Links, since
from streams.dotdigital.responses import Accepted, ApiModel, address, read, seconds
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

Scope: TypeAlias = Literal["account", "contact"]
CollectionType: TypeAlias = Literal["orders", "catalog", "custom"]

MOST_KEYS: Final = 5000
"""Dotdigital's limit of keys in one deletion."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection and its number of records. ``scope`` and ``type`` are lower-cased; names are equal in any casing."""

    name: str
    scope: str
    type: str
    records: int


@dataclass(frozen=True, slots=True)
class Property:
    """A property and its fixed type: ``STRING``, ``FLOAT``, ``INTEGER``, ``BOOLEAN``, ``TIMESTAMP`` or ``RECORD``."""

    name: str
    type: str
    repeated: bool
    fields: tuple["Property", ...] = ()


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One record of an import; ``content`` is its JSON, ``email`` its contact's address in a contact-scoped collection."""

    key: str
    content: bytes
    email: str | None = None

    def encode(self) -> bytes:
        """The record's JSON."""
        body: dict[str, Any] = {"key": self.key, "json": orjson.Fragment(self.content)}
        if self.email is not None:
            body["contactIdentity"] = {"identifier": "email", "value": self.email}
        return orjson.dumps(body)


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """A record that an import refused; ``reason`` is canonical."""

    key: str
    email: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class InsightImport:
    """An import's report; the counts are 0 until it is done."""

    state: ImportState
    total: int = 0
    imported: int = 0
    rejected: int = 0
    failures: tuple[RecordFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in the account; ``updated`` is UTC epoch seconds, ``contact_id`` None in an account-scoped collection."""

    key: str
    content: dict[str, Any]
    contact_id: int | None
    updated: int


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page. ``marker`` leads to the next page, also in a later call, and is None on the last page."""

    records: tuple[StoredRecord, ...]
    marker: str | None


class _Collection(ApiModel):
    collection_name: str
    collection_scope: str
    collection_type: str
    record_count: int | None = None


class _Property(ApiModel):
    name: str
    type: str
    mode: str | None = None
    fields: list["_Property"] | None = None


class _Schema(ApiModel):
    schema: list[_Property]


class _Summary(ApiModel):
    total_records: int | None = None
    total_imported: int | None = None
    total_rejected: int | None = None


class _Identity(ApiModel):
    identifier: str | None = None
    value: str | int | None = None


class _Owner(ApiModel):
    contact_identity: _Identity | None = None


class _Failure(ApiModel):
    key: str | int | float | None = None
    failure_reason: str | None = None
    collection_owner: _Owner | None = None


class _Report(ApiModel):
    status: str | None = None
    summary: _Summary | None = None
    failures: list[_Failure] | None = None


class _Deleted(ApiModel):
    not_found: list[str] | None = None


class _Record(ApiModel):
    key: str
    json: dict[str, Any]
    owner_contact_id: int | None = None
    updated: str | None = None

    def stored(self) -> StoredRecord:
        return StoredRecord(self.key, self.json, self.owner_contact_id, seconds(self.updated))


class _Page(ApiModel):
    items: list[_Record] | None = msgspec.field(default=None, name="_items")
    links: Links | None = msgspec.field(default=None, name="_links")


class InsightCalls(ApiGroup):
    """Calls for collections and records."""

    async def ensure_collection(self, name: str, scope: Scope, kind: CollectionType) -> bool:
        """Create a collection; False if one of that name exists, whatever its scope and type."""
        query = {"collectionScope": scope, "collectionType": kind}
        path = f"/insightData/v3/collections/{name}"
        response = await self._call(Operation.CREATE_COLLECTION, "POST", path, query=query)
        return response.status_code == httpx.codes.CREATED

    async def collections(self) -> tuple[Collection, ...]:
        """The account's collections."""
        response = await self._call(Operation.LIST_COLLECTIONS, "GET", "/insightData/v3/collections")
        return tuple(
            Collection(row.collection_name, row.collection_scope.lower(), row.collection_type.lower(), row.record_count or 0)
            for row in read(response, Operation.LIST_COLLECTIONS, list[_Collection])
        )

    async def schema(self, collection: str) -> tuple[Property, ...]:
        """The fixed types of the records' properties; empty while there are no records.

        Raises:
            MissingError: there is no such collection.
        """
        response = await self._call(Operation.GET_SCHEMA, "GET", f"/insightData/v3/collections/{collection}/schema")
        rows = read(response, Operation.GET_SCHEMA, _Schema).schema
        # The schema describes the stored row (key, owner, ...); the record itself is the property ``json``.
        record = next((row for row in rows if row.name.casefold() == "json"), None)
        return () if record is None else _property(record).fields

    async def put_record(
        self, collection: str, key: str, content: bytes, email: str | None = None
    ) -> Literal["created", "replaced"]:
        """Write a record (``content`` is its JSON) of the account, or of the contact ``email``. It replaces the old record.

        Raises:
            MissingError: the contact or the collection does not exist.
            DataError: the record does not fit the collection.
        """
        response = await self._call(Operation.PUT_RECORD, "PUT", _record(collection, key, email), content)
        return "created" if response.status_code == httpx.codes.CREATED else "replaced"

    async def get_record(self, collection: str, key: str, email: str | None = None) -> StoredRecord | None:
        """One record of the account, or of the contact ``email``; None: there is none.

        Raises:
            MissingError: the contact or the collection does not exist.
        """
        try:
            response = await self._call(Operation.GET_RECORD, "GET", _record(collection, key, email))
        except NotFoundError:
            return None
        return read(response, Operation.GET_RECORD, _Record).stored()

    async def delete_record(self, collection: str, key: str, email: str | None = None) -> bool:
        """Delete a record; False if the record, its contact or its collection does not exist."""
        try:
            await self._call(Operation.DELETE_RECORD, "DELETE", _record(collection, key, email))
        except (NotFoundError, MissingError):
            return False
        return True

    async def delete_records(self, collection: str, keys: Sequence[str], email: str | None = None) -> frozenset[str]:
        """Delete many records, 5000 in a call; returns the keys that did not exist.

        Raises:
            MissingError: the contact or the collection does not exist.
        """
        # "accounts" in the plural is right for this call only.
        place = "accounts" if email is None else f"contacts/email/{quote(email, safe='')}"
        path, gone = f"/insightData/v3/{place}/{collection}/deleteRecords", list[str]()
        for start in range(0, len(keys), MOST_KEYS):
            body = orjson.dumps({"keys": list(keys[start : start + MOST_KEYS])})
            response = await self._call(Operation.DELETE_RECORDS, "DELETE", path, body)
            gone += read(response, Operation.DELETE_RECORDS, _Deleted).not_found or ()
        return frozenset(gone)

    async def import_records(self, collection: str, scope: Scope, kind: CollectionType, records: Sequence[ImportRecord]) -> str:
        """Start an import and return its id. It creates a missing collection. No two records may have the same key.

        A record of an unknown contact is accepted here, and refused in the report.

        Raises:
            ThrottledError: 5 imports are in flight (``Limit.INSIGHT_IMPORTS``).
        """
        # The records are JSON already: they are joined as bytes, not decoded and encoded again.
        head = orjson.dumps({"collectionName": collection, "collectionScope": scope, "collectionType": kind})
        body = b'%b,"records":[%b]}' % (head[:-1], b",".join(record.encode() for record in records))
        response = await self._call(Operation.IMPORT_RECORDS, "PUT", "/insightData/v3/import", body)
        return read(response, Operation.IMPORT_RECORDS, Accepted).import_id

    async def insight_import(self, import_id: str) -> InsightImport:
        """The state of an import, and its failures once it is done.

        Raises:
            NotFoundError: Dotdigital does not have the import.
        """
        response = await self._call(Operation.INSIGHT_IMPORT, "GET", f"/insightData/v3/import/{import_id}")
        report = read(response, Operation.INSIGHT_IMPORT, _Report)
        counts = report.summary or _Summary()
        return InsightImport(
            state(report.status),
            counts.total_records or 0,
            counts.total_imported or 0,
            counts.total_rejected or 0,
            tuple(_failure(row) for row in report.failures or ()),
        )

    async def records(
        self,
        collection: str,
        scope: Scope,
        *,
        email: str | None = None,
        modified: int | None = None,
        marker: str | None = None,
        limit: int = MOST_V3,
    ) -> AsyncIterator[RecordPage]:
        """The records of a collection, or of one contact in it, page by page.

        Args:
            collection: its name.
            scope: its scope.
            email: the contact; None: all contacts, or the account.
            modified: only records that changed at that time (UTC epoch seconds) or later.
            marker: the marker at which an earlier call with the same filter stopped.
            limit: records in a page, at most 5000.

        Raises:
            MissingError: the contact or the collection does not exist.
        """
        place = "account" if scope == "account" else "contacts" if email is None else f"contacts/email/{quote(email, safe='')}"
        path, query = f"/insightData/v3/{place}/{collection}", {"limit": str(limit)} | since(modified)
        while True:
            following = query if marker is None else query | {"marker": marker}
            response = await self._call(Operation.LIST_RECORDS, "GET", path, query=following)
            page = read(response, Operation.LIST_RECORDS, _Page)
            marker = page.links.following() if page.links else None
            yield RecordPage(tuple(row.stored() for row in page.items or ()), marker)
            if marker is None:
                return


def _record(collection: str, key: str, email: str | None) -> str:
    place = "account" if email is None else f"contacts/email/{quote(email, safe='')}"
    return f"/insightData/v3/{place}/{collection}/{quote(key, safe='')}"


def _property(row: _Property) -> Property:
    repeated = (row.mode or "").upper() == "REPEATED"
    return Property(row.name, row.type.upper(), repeated, tuple(_property(field) for field in row.fields or ()))


def _failure(row: _Failure) -> RecordFailure:
    return RecordFailure(str(row.key), _owner(row), canonical(row.failure_reason or "unknown"))


def _owner(row: _Failure) -> str | None:
    identity = row.collection_owner.contact_identity if row.collection_owner else None
    if identity is None or (identity.identifier or "").casefold() != "email":
        return None
    return address(str(identity.value or "")) or None
