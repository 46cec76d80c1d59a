"""Ways into the recycle bin and out of it beside the v3 DELETE of one contact.

A deleted contact can be brought back for about 30 days by writing to it; emptying the bin, or the end of those days,
removes its data fields and insight records for good (Dotdigital's right-to-be-forgotten article). How many bulk
deletes may be in flight is not published; here as many as contact imports. v2 does not delete suppressed contacts.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import jobs as states
from testkit.sandbox import v2
from testkit.sandbox.consent import HARD_STATUSES
from testkit.sandbox.error_replies import ApiError, json_response, v2_error, v3_error
from testkit.sandbox.faults import Faults
from testkit.sandbox.jobs import Job
from testkit.sandbox.store import Contact, Store
from testkit.sandbox.v3 import find_contact, json_body

KIND = "contactDelete"
MOST_ACTIVE = 25
MOST_CONTACTS = 5000
_STATUSES = {
    states.RUNNING: "NotFinished",
    states.FINISHED: "Finished",
    states.FAILED: "Failed",
    states.REJECTED: "Failed",
}


class Deletion:
    """Handlers of `/contacts/v3/delete`, `/v2/contacts/{id}` and `/v2/accounts/empty-recycle-bin`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        store.jobs.register(KIND, self._run)

    async def start(self, request: Request) -> Response:
        items = await json_body(request, "contacts")
        if not isinstance(items, list) or not 1 <= len(items) <= MOST_CONTACTS:
            text = f"The body must be an array of 1 to {MOST_CONTACTS} contacts"
            raise v3_error(400, "contacts:noContactsSpecified", text)
        if any(not isinstance(item, dict) or len(item) != 1 for item in items):
            raise v3_error(400, "contacts:badRequest", "Every contact must be an object with one identifier")
        if self._store.jobs.active(KIND) >= MOST_ACTIVE:
            raise v3_error(429, "contacts:tooManyBulkDeleteJobs", "Too many bulk delete jobs are being processed")
        job = self._store.jobs.start(KIND, items, self._faults.draw_import())
        return json_response({"deleteId": job.id}, 202)

    async def status(self, request: Request) -> Response:
        wanted: str = request.path_params["deleteId"]
        if not states.is_job_id(wanted):
            raise v3_error(400, "contacts:invalidDeleteId", f"'{wanted}' is not a delete id")
        job = self._store.jobs.find(KIND, wanted)
        if job is None:
            # The specification's example has the code of imports here.
            raise v3_error(404, "contacts:importNotFound", f"The delete request '{wanted}' could not be found")
        return json_response({"deleteId": job.id, "status": _STATUSES[job.state]} | (job.report or {}))

    async def delete_one(self, request: Request) -> Response:
        contact = self._named(request)
        if contact.email_status in HARD_STATUSES:
            raise v2_error(400, "The contact is suppressed. ERROR_CONTACT_SUPPRESSED")
        self._store.bin(contact)
        return Response(status_code=204)

    async def read_one(self, request: Request) -> Response:
        return json_response(v2.shown(self._named(request), full=True))

    async def empty_bin(self, _request: Request) -> Response:
        self._store.purge()
        return Response(status_code=202)

    def _named(self, request: Request) -> Contact:
        """The contact in a v2 path, by id or by e-mail."""
        text: str = request.path_params["id"]
        contact = v2.contact_by_email(self._store, text) if "@" in text else v2.contact_by_id(self._store, _number(text))
        if contact is None:
            raise v2.no_contact()
        return contact

    def _run(self, job: Job) -> dict[str, Any]:
        deleted: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        for item in job.payload:
            failure = self._delete(item)
            if failure is None:
                deleted.append(item)
            else:
                code, text = failure
                failures.append({"identifier": item, "failures": [{"failureCode": code, "description": text}]})
        unknown = sum(row["failures"][0]["failureCode"] == "contactNotFound" for row in failures)
        summary = {
            "requestedContacts": len(job.payload),
            "deletedContacts": len(deleted),
            "unknownContacts": unknown,
            "invalidEntries": len(failures) - unknown,
        }
        return {"summary": summary, "deleted": deleted, "failures": failures}

    def _delete(self, item: dict[str, Any]) -> tuple[str, str] | None:
        """Delete one contact; the failure's code and description when that cannot be."""
        (kind, value), *_ = item.items()
        try:
            contact = find_contact(self._store, kind, str(value) if kind == "contactId" else value)
        except ApiError:
            return "invalidEmail" if kind == "email" else "invalidIdentifier", f"Invalid value for '{kind}'"
        if contact is None:
            return "contactNotFound", "The contact could not be found"
        self._store.bin(contact)
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
