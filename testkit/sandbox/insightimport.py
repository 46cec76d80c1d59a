"""The v3 insight import: `PUT /insightData/v3/import` and its report.

It creates a missing collection and never a contact: a record of an unknown contact is a line of the report. The status
is `NotStarted` and then `Finished`, as the specification's examples have it; its list of values says `Complete`, which
the fault `casing` imitates. The reply to a sixth import in flight is not published; a 429 like that of contacts is
assumed, and so is a 400 for an existing collection of another scope.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import jobs as states
from testkit.sandbox.error_replies import ApiError, json_response, v3_error
from testkit.sandbox.faults import Faults
from testkit.sandbox.insight import ACCOUNT, CONTACT, SCOPES, Collection, FullError, fits_type
from testkit.sandbox.insight_records import SERVICE, check_name
from testkit.sandbox.insightschema import MisfitError
from testkit.sandbox.jobs import Job
from testkit.sandbox.store import Store
from testkit.sandbox.v3 import find_contact, json_body

KIND = "insightImport"
MOST_ACTIVE = 5
_STATUSES = {
    states.RUNNING: "NotStarted",
    states.FINISHED: "Finished",
    states.FAILED: "Failed",
    states.REJECTED: "Failed",
}
_UNKNOWN_CONTACT = {
    "contactId": "ContactIdDoesNotExist",
    "email": "ContactEmailDoesNotExist",
    "mobileNumber": "ContactPhoneNumberDoesNotExist",
}

Row = dict[str, Any]


class InsightImport:
    """Handlers of `/insightData/v3/import`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        store.jobs.register(KIND, self._run)

    async def start(self, request: Request) -> Response:
        members = await json_body(request, SERVICE, self._store.config.most_import_bytes)
        _check(members)
        held = self._store.insight.find(members["collectionName"])
        if held is not None and held.scope != members["collectionScope"]:
            raise _bad("collectionScope", f"is {held.scope} for this collection")
        if self._store.jobs.active(KIND) >= MOST_ACTIVE:
            raise v3_error(429, f"{SERVICE}:tooManyActiveImports", "Too many imports are being processed for this account")
        job = self._store.jobs.start(KIND, members, self._faults.draw_import())
        return json_response({"importId": job.id}, 202)

    async def status(self, request: Request) -> Response:
        wanted: str = request.path_params["importId"]
        if not states.is_job_id(wanted):
            raise v3_error(400, f"{SERVICE}:invalidId", f"'{wanted}' is not an import id")
        job = self._store.jobs.find(KIND, wanted)
        if job is None:
            raise v3_error(404, f"{SERVICE}:importNotFound", f"The import request '{wanted}' could not be found")
        return json_response({"importId": job.id, "status": _STATUSES[job.state]} | (job.report or {}))

    def _run(self, job: Job) -> Row:
        name, rows = job.payload["collectionName"], job.payload["records"]
        failures: list[Row] = []
        seen: set[str] = set()
        for position, row in enumerate(rows):
            if job.fault == "import_partial" and position % 2 == 0:
                failures.append(_failure(row, MisfitError("Unknown", "key", "was not imported")))
                continue
            try:
                job.owners.append(self._take(row, self._collection(job.payload), seen))
            except MisfitError as error:
                failures.append(_failure(row, error))
        total, rejected = len(rows), len(failures)
        if job.fault == "report_partial":
            failures = failures[: len(failures) // 2]
        summary = {"totalRecords": total, "totalImported": total - rejected, "totalRejected": rejected}
        return {"collectionName": name, "summary": summary} | ({"failures": failures} if failures else {})

    def _collection(self, members: Row) -> Collection:
        """The collection, made when it is missing."""
        name: str = members["collectionName"]
        found = self._store.insight.find(name)
        if found is not None:
            return found
        try:
            return self._store.insight.create(name, members["collectionScope"], members["collectionType"])
        except FullError:
            raise MisfitError("Unknown", "collectionName", "is one more than the account may have") from None

    def _take(self, row: Row, collection: Collection, seen: set[str]) -> int:
        """Store a record; the contact that it is of, 0 for one of the account."""
        if not isinstance(row["key"], str):
            raise MisfitError("InvalidClientKey", "key", "must be text")
        if row["key"] in seen:
            raise MisfitError("DuplicateKey", "key", "is in the import more than once")
        seen.add(row["key"])
        if not isinstance(row["json"], dict):
            raise MisfitError("InvalidJson", "json", "must be an object")
        owner = None if collection.scope == ACCOUNT else self._owner(row["contactIdentity"])
        self._store.insight.put(collection, row["key"], row["json"], owner)
        return owner or 0

    def _owner(self, identity: Row) -> int:
        kind, value = identity["identifier"], identity["value"]
        try:
            contact = find_contact(self._store, kind, str(value) if kind == "contactId" else value)
        except ApiError:
            raise MisfitError("InvalidContactIdentifier", "contactIdentity", "cannot identify a contact") from None
        if contact is None:
            reason = _UNKNOWN_CONTACT.get(kind, "ContactCustomIdentifierValueDoesNotExist")
            raise MisfitError(reason, "contactIdentity", "identifies no contact")
        return contact.id


def _check(members: object) -> None:
    """Raises ApiError 400 `insightData:badJson` or `insightData:invalidId` for a wrong structure."""
    if not isinstance(members, dict):
        raise _bad("(body)", "must be an object")
    check_name(members.get("collectionName"))
    if members.get("collectionScope") not in SCOPES:
        raise _bad("collectionScope", f"must be one of {', '.join(SCOPES)}")
    if not fits_type(members["collectionName"], members.get("collectionType")):
        raise _bad("collectionType", "is not a type that this collection can have")
    rows = members.get("records")
    if not isinstance(rows, list) or not rows:
        raise _bad("records", "must be an array of one or more records")
    for position, row in enumerate(rows):
        if not isinstance(row, dict) or "key" not in row or "json" not in row:
            raise _bad(f"records[{position}]", "must be an object with key and json")
        identity = row.get("contactIdentity")
        complete = isinstance(identity, dict) and isinstance(identity.get("identifier"), str) and "value" in identity
        if members["collectionScope"] == CONTACT and not complete:
            raise _bad(f"records[{position}].contactIdentity", "must have identifier and value")


def _bad(path: str, text: str) -> ApiError:
    return v3_error(400, f"{SERVICE}:badJson", "The request JSON has the wrong structure", [(path, text)])


def _failure(row: Row, error: MisfitError) -> Row:
    identity = row.get("contactIdentity")
    owner = {"ownerType": ACCOUNT} if identity is None else {"ownerType": CONTACT, "contactIdentity": identity}
    shown = {"key": str(row["key"]), "json": row["json"]}
    return {"collectionOwner": owner, "failureReason": error.reason, "details": [str(error)], **shown}
