"""The v2 programs and enrolments: who is put on an automation program, and who could not be.

The reasons in the fault report are spelled as Dotdigital spells them. An enrolment is processed like an import; that
unknown contacts refuse the whole call is documented, that unsubscribed ones only reach the report is too.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from testkit.sandbox import jobs as states
from testkit.sandbox import v2
from testkit.sandbox.consent import MAILABLE
from testkit.sandbox.error_replies import json_response, v2_error
from testkit.sandbox.jobs import Job
from testkit.sandbox.store import Contact, Store

KIND = "enrolment"
MOST_CONTACTS = 25
MOST_LISTS = 10
_STATUSES = {states.RUNNING: "Processing", states.FINISHED: "Finished"}


class Enrolments:
    """Handlers of `/v2/programs`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.jobs.register(KIND, self._run)

    async def programs(self, request: Request) -> Response:
        return json_response([_program(*row) for row in v2.paged(request, list(self._store.programs.statuses.items()))])

    async def program(self, request: Request) -> Response:
        number = v2.number_in(request, "id", "ERROR_PROGRAM_NOT_FOUND")
        return json_response(_program(number, self._store.programs.find(number)))

    async def start(self, request: Request) -> Response:
        members = await v2.object_body(request)
        self._store.programs.call(self._store.clock().timestamp())
        contacts, lists = members.get("contacts") or [], members.get("addressbooks") or []
        self._check(members.get("programid"), contacts, lists)
        payload = {"programId": members["programid"], "contacts": contacts, "lists": lists}
        return json_response(_shown(self._store.jobs.start(KIND, payload), members["programid"]), 201)

    async def read(self, request: Request) -> Response:
        job = self._job(request)
        return json_response(_shown(job, _program_of(job)))

    async def faults(self, request: Request) -> Response:
        """The contacts that were not enrolled, as CSV."""
        job = self._job(request)
        if job.state == states.RUNNING:
            raise v2_error(400, "Error: ERROR_ENROLMENT_IS_PROCESSING")
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("Id", "Email", "TelephoneNumber", "Reason"))
        table.writerows(job.report["faults"])
        return PlainTextResponse(text.getvalue(), media_type="text/csv")

    def _check(self, program: object, contacts: Any, lists: Any) -> None:
        for ids in (contacts, lists):
            if not isinstance(ids, list) or any(not isinstance(number, int) for number in ids):
                raise v2_error(400, "Contacts and address books are arrays of ids. ERROR_ENROLMENT_INVALID")
        if not isinstance(program, int) or not (contacts or lists) or len(contacts) > MOST_CONTACTS:
            raise v2_error(400, "Error: ERROR_ENROLMENT_INVALID")
        if len(lists) > MOST_LISTS:
            raise v2_error(400, "Error: ERROR_ADDRESSBOOK_TOOMANY")
        if self._store.programs.find(program) != "Active":
            raise v2_error(422, "Error: ERROR_PROGRAM_NOT_ACTIVE")
        if any(number not in self._store.lists.names for number in lists):
            raise v2_error(400, "Error: ERROR_ADDRESSBOOK_NOT_FOUND")
        if any(v2.contact_by_id(self._store, number) is None for number in contacts):
            raise v2_error(400, "Error: ERROR_CONTACT_NOT_FOUND")

    def _job(self, request: Request) -> Job:
        job = self._store.jobs.find(KIND, request.path_params["id"])
        if job is None:
            raise v2_error(404, "Error: ERROR_ENROLMENT_NOT_FOUND")
        return job

    def _run(self, job: Job) -> dict[str, Any]:
        program, lists = job.payload["programId"], set(job.payload["lists"])
        named = [v2.contact_by_id(self._store, number) for number in job.payload["contacts"]]
        listed = [contact for contact in self._store if lists.intersection(contact.lists)]
        wanted = {contact.id: contact for contact in (*named, *listed) if contact is not None}
        faults = []
        for contact in wanted.values():
            reason = self._enrol(program, contact)
            if reason is not None:
                faults.append((contact.id, contact.email or "", contact.identifiers.get("mobileNumber", ""), reason))
        return {"programId": program, "faults": faults}

    def _enrol(self, program: int, contact: Contact) -> str | None:
        """The reason why the contact is not enrolled."""
        if contact.email_status not in MAILABLE:
            return "Unsubcribed"
        return None if self._store.programs.enrol(program, contact.id) else "AlreadyInProgram"


def _program_of(job: Job) -> int:
    number: int = (job.payload or job.report)["programId"]
    return number


def _program(number: int, status: str) -> dict[str, Any]:
    return {"id": number, "name": f"Program {number}", "status": status, "dateCreated": "2020-01-01 00:00:00+00:00"}


def _shown(job: Job, program: int) -> dict[str, Any]:
    made = datetime.fromtimestamp(job.accepted, UTC)
    status = _STATUSES[job.state]
    empty = {"contacts": None, "addressBooks": None}
    return {"id": job.id, "programId": program, "status": status, "dateCreated": str(made), **empty}
