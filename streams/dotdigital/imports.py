"""Contacts in bulk (contacts service v3): an import is accepted at once and done later; its report has the failed rows.

A structural fault in one row causes the whole call to be refused; a wrong value becomes a row of the report. The documentation
and the specification spell states and codes differently, and the report has no summary while the import runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from streams.dotdigital.codes import canonical
from streams.dotdigital.contact_calls import Status, content
from streams.dotdigital.responses import Accepted, ApiModel, Identifiers, address, read
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup


class ImportState(StrEnum):
    """The state of an import or of another asynchronous job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    """Dotdigital checks it by hand first."""
    OVER_LIMIT = "over-limit"
    """More contacts than the account's contract allows."""


_STATES: Final = {
    "finished": ImportState.DONE,
    "complete": ImportState.DONE,
    "completed": ImportState.DONE,
    "failed": ImportState.FAILED,
    "rejectedbywatchdog": ImportState.REJECTED,
    "exceedsallowedcontactlimit": ImportState.OVER_LIMIT,
}


def state(status: str | None) -> ImportState:
    """The state for a status of v2 or v3. An unknown status counts as running.

    The words differ between services (``NotStarted``, ``Processing``, ``NotFinished``) and between their documents. A job that
    is wrongly taken for done would lose its rows; one that is wrongly taken for running is only polled again.
    """
    return _STATES.get((status or "").strip().casefold(), ImportState.RUNNING)


@dataclass(frozen=True, slots=True)
class ImportContact:
    """One row of an import.

    Attributes:
        email: the address.
        fields: the JSON object of the data fields.
        status: of the e-mail channel; None leaves that of an existing contact as it is.
        lists: ids of the lists to join.
        contact_id: if given, the contact is matched by it, and a row whose contact was deleted cannot create another one.
    """

    email: str
    fields: bytes
    status: Status | None = None
    lists: tuple[int, ...] = ()
    contact_id: int | None = None

    def encode(self) -> bytes:
        """The row's JSON."""
        match, value = ("email", self.email) if self.contact_id is None else ("contactId", self.contact_id)
        names: dict[str, Any] = {"matchIdentifier": match, "identifiers": {match: value}}
        return orjson.dumps(names | content(self.fields, self.status, self.lists))


class ImportedRow(NamedTuple):
    """A contact that an import wrote."""

    contact_id: int
    email: str


class RejectedRow(NamedTuple):
    """A row that was refused whole or in part, with the identifiers that the report gives. ``codes`` are canonical."""

    email: str | None
    contact_id: int | None
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContactImport:
    """An import's report.

    A contact can be both imported and among the failures, for example when only a list was refused. ``created`` and ``updated``
    may lack rows that were imported.
    """

    state: ImportState
    created: tuple[ImportedRow, ...] = ()
    updated: tuple[ImportedRow, ...] = ()
    failures: tuple[RejectedRow, ...] = ()


class _Row(ApiModel):
    contact_id: int
    identifiers: Identifiers | None = None


class _Reason(ApiModel):
    failure_code: str | None = None


class _Failure(ApiModel):
    contact_id: int | None = None
    identifiers: Identifiers | None = None
    failures: list[_Reason] | None = None


class _Report(ApiModel):
    status: str | None = None
    created: list[_Row] | None = None
    updated: list[_Row] | None = None
    failures: list[_Failure] | None = None


class ImportCalls(ApiGroup):
    """Calls for many contacts."""

    async def import_contacts(self, items: Sequence[ImportContact]) -> str:
        """Start an import and return its id. No two items may have the same address: the later one would be refused.

        Raises:
            ThrottledError: 25 imports are in flight (``Limit.CONTACT_IMPORTS``).
            DataError: the structure of a row is wrong, and nothing was imported.
        """
        body = b'{"contacts":[%b]}' % b",".join(item.encode() for item in items)
        response = await self._call(Operation.IMPORT_CONTACTS, "PUT", "/contacts/v3/import", body)
        return read(response, Operation.IMPORT_CONTACTS, Accepted).import_id

    async def contact_import(self, import_id: str) -> ContactImport:
        """The state of an import, and its rows once it is done.

        Raises:
            NotFoundError: Dotdigital does not have the import.
        """
        response = await self._call(Operation.CONTACT_IMPORT, "GET", f"/contacts/v3/import/{import_id}")
        report = read(response, Operation.CONTACT_IMPORT, _Report)
        failures = tuple(_rejected(row) for row in report.failures or ())
        return ContactImport(state(report.status), _imported(report.created), _imported(report.updated), failures)


def _imported(rows: list[_Row] | None) -> tuple[ImportedRow, ...]:
    return tuple(ImportedRow(row.contact_id, address(row.identifiers.email if row.identifiers else None)) for row in rows or ())


def _rejected(row: _Failure) -> RejectedRow:
    codes = tuple(canonical(reason.failure_code or "unknown") for reason in row.failures or ())
    names = row.identifiers or Identifiers()
    matched = names.contact_id if isinstance(names.contact_id, int) else None
    return RejectedRow(address(names.email) or None, matched if row.contact_id is None else row.contact_id, codes)
