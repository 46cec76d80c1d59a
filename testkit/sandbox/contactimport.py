"""The v3 contact import: `PUT /contacts/v3/import` and its report.

What is wrong with the structure of one row refuses the whole call, as connectors report (missing identifiers, data
fields that are no object, a list id as text, a consent record without its text or with a bad date); what is wrong with
its content is one row of the report. Choices: the two kinds are split by that rule also where nobody has reported;
addresses that Dotdigital itself bars are left alone and counted as globally suppressed, while the account's own
suppressed contacts take data as they do from PATCH; failure codes are spelled as in the documentation (`InvalidEmail`),
which the specification's examples contradict (`invalidEmail`) and the fault `casing` imitates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import jobs as states
from testkit.sandbox.bodies import ContactBody, read_relations
from testkit.sandbox.consent import GLOBAL_STATUSES
from testkit.sandbox.error_replies import ApiError, Detail, bad_request, invalid_id, invalid_value, json_response, v3_error
from testkit.sandbox.faults import Faults
from testkit.sandbox.identifiers import CONTACT_ID, EMAIL, MOBILE, normalise
from testkit.sandbox.jobs import Job
from testkit.sandbox.store import Contact, Store
from testkit.sandbox.v3 import json_body
from testkit.sandbox.writing import IF_EMPTY, IF_NOT_EMPTY, OVERWRITE, Writer

KIND = "contactImport"
MOST_ACTIVE = 25
_OPTIONS = {"overwrite": OVERWRITE, "overwriteIfNotEmpty": IF_NOT_EMPTY, "overwriteIfEmpty": IF_EMPTY}
_STATUSES = {
    states.RUNNING: "NotFinished",
    states.FINISHED: "Finished",
    states.FAILED: "Failed",
    states.REJECTED: "RejectedByWatchdog",
}
_BAD_IDENTIFIER = {EMAIL: "InvalidEmail", MOBILE: "InvalidPhoneNumber", CONTACT_ID: "InvalidContactId"}

Row = dict[str, Any]


class _RowError(Exception):
    """A row that is not imported: its failure code, and why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ContactImport:
    """Handlers of `/contacts/v3/import`."""

    def __init__(self, store: Store, writer: Writer, faults: Faults) -> None:
        self._store = store
        self._writer = writer
        self._faults = faults
        store.jobs.register(KIND, self._run)

    async def start(self, request: Request) -> Response:
        members = await json_body(request, "contacts", self._store.config.most_import_bytes)
        rows, option = _check(members)
        if self._store.jobs.active(KIND) >= MOST_ACTIVE:
            raise v3_error(429, "contacts:tooManyActiveImports", "Too many imports are being processed for this account")
        job = self._store.jobs.start(KIND, {"option": option, "rows": rows}, self._faults.draw_import())
        return json_response({"importId": job.id}, 202)

    async def status(self, request: Request) -> Response:
        wanted: str = request.path_params["importId"]
        if not states.is_job_id(wanted):
            raise v3_error(400, "contacts:invalidId", f"'{wanted}' is not an import id")
        job = self._store.jobs.find(KIND, wanted)
        if job is None:
            raise v3_error(404, "contacts:importNotFound", f"The import request '{wanted}' could not be found")
        reply: Row = {"importId": job.id, "status": _STATUSES[job.state], "summary": None}
        return json_response(reply | (job.report or {}))

    def _run(self, job: Job) -> Row:
        report = _Report()
        seen: set[tuple[str, str]] = set()
        for position, row in enumerate(job.payload["rows"]):
            if job.fault == "import_partial" and position % 2 == 0:
                report.fail(row, _RowError("InvalidContact", "The contact could not be imported"))
                continue
            try:
                self._take(row, job.payload["option"], seen, report)
            except _RowError as error:
                report.fail(row, error)
        job.owners = [contact.id for contact in (*report.created, *report.updated)]
        return report.as_reply(cut=job.fault == "report_partial")

    def _take(self, row: Row, option: str, seen: set[tuple[str, str]], report: _Report) -> None:
        body = self._read(row)
        keys = set(body.identifiers.items())
        if body.contact_id is not None:
            keys.add((CONTACT_ID, str(body.contact_id)))
        if keys & seen:
            raise _RowError("Duplicate", "The identifier is in the import more than once")
        seen |= keys
        contact = self._match(row["matchIdentifier"], body)
        if self._store.taken(body.identifiers, contact) is not None:
            raise _RowError("Duplicate", "An identifier belongs to another contact")
        if contact is None:
            contact = self._add(body)
            report.created.append(contact)
        else:
            self._update(contact, body, option)
            report.updated.append(contact)
        unknown = [number for number in row.get("lists", ()) if number not in self._store.lists.names]
        if unknown:
            report.note(row, contact, _RowError("InvalidAddressBookIds", f"No list has the id {unknown[0]}"))

    def _read(self, row: Row) -> ContactBody:
        body = ContactBody()
        for kind, value in row["identifiers"].items():
            if kind == CONTACT_ID:
                body.contact_id = _contact_id(value)
                continue
            try:
                body.identifiers[kind] = normalise(kind, value, self._store.config.custom_identifiers)
            except ApiError:
                raise _RowError(_BAD_IDENTIFIER.get(kind, "NoValidIdentifiers"), f"Invalid value for '{kind}'") from None
        body.data, wrong = self._store.fields.check(row.get("dataFields", {}))
        if wrong:
            raise _RowError("ApiSchemaViolation", "; ".join(f"{name} {text}" for name, text in wrong))
        read_relations(row, None, "PATCH", body, [])
        body.lists = [number for number in body.lists if number in self._store.lists.names]
        return body

    def _match(self, kind: str, body: ContactBody) -> Contact | None:
        if kind == CONTACT_ID:
            found = None if body.contact_id is None else self._store.find(kind, str(body.contact_id))
            if found is None:
                raise _RowError("InvalidContactId", "No contact has this contactId")
            return found
        if kind not in body.identifiers:
            raise _RowError("InvalidMatchIdentifier", f"The contact has no '{kind}' to match by")
        return self._store.find(kind, body.identifiers[kind])

    def _add(self, body: ContactBody) -> Contact:
        if EMAIL not in body.identifiers and MOBILE not in body.identifiers:
            raise _RowError("NoValidIdentifiers", "A new contact needs an email or a mobileNumber")
        return self._writer.add(body, body.identifiers)

    def _update(self, contact: Contact, body: ContactBody, option: str) -> None:
        if contact.email_status == "domainSuppressed":
            raise _RowError("SuppressedByDomain", "The domain of the address is suppressed")
        if contact.email_status in GLOBAL_STATUSES:
            raise _RowError("GloballySuppressed", "The address is suppressed at the account level")
        if body.contact_id not in (None, contact.id):
            raise _RowError("InvalidContactId", "The contactId is that of another contact")
        try:
            self._writer.update(contact, body, option)
        except ApiError:
            raise _RowError("InvalidContactStatus", "The channel's status does not allow resubscribing") from None


def _contact_id(value: object) -> int:
    if not isinstance(value, int):
        raise _RowError("InvalidContactId", "The contactId must be a number")
    return value


class _Report:
    """What became of each row."""

    def __init__(self) -> None:
        self.created: list[Contact] = []
        self.updated: list[Contact] = []
        self._failures: list[Row] = []
        self._counts = dict.fromkeys(("globallySuppressed", "invalidEntries", "duplicateIdentifiers"), 0)

    def fail(self, row: Row, error: _RowError) -> None:
        """A row that was not imported."""
        counter = {"GloballySuppressed": "globallySuppressed", "Duplicate": "duplicateIdentifiers"}
        self._counts[counter.get(error.code, "invalidEntries")] += 1
        self.note(row, None, error)

    def note(self, row: Row, contact: Contact | None, error: _RowError) -> None:
        """A failure, with the contact's id when the rest of the row was imported."""
        entry: Row = {} if contact is None else {"contactId": contact.id}
        entry |= {"matchIdentifier": row["matchIdentifier"], "identifiers": row["identifiers"]}
        self._failures.append(entry | {"failures": [{"failureCode": error.code, "description": str(error)}]})

    def as_reply(self, *, cut: bool) -> Row:
        """The report; a `cut` one counts every row and shows half of those that were imported."""
        shown = {
            name: [{"contactId": contact.id, "identifiers": dict(contact.identifiers)} for contact in contacts]
            for name, contacts in (("created", self.created), ("updated", self.updated))
        }
        summary = {"newContacts": len(self.created), "updatedContacts": len(self.updated), **self._counts}
        if cut:
            shown = {name: rows[: len(rows) // 2] for name, rows in shown.items()}
        return {"summary": summary, **shown, "failures": self._failures}


def _check(members: object) -> tuple[list[Row], str]:
    """The rows and the merge option of a call. Raises ApiError 400 for a wrong structure."""
    if not isinstance(members, dict) or not isinstance(members.get("contacts"), list) or not members["contacts"]:
        raise bad_request("The import has no contacts", [("contacts", "must be an array of one or more contacts")])
    option = _OPTIONS.get(str(members.get("mergeOption", "overwrite")))
    if option is None:
        raise invalid_value([("mergeOption", f"must be one of {', '.join(_OPTIONS)}")])
    for position, row in enumerate(members["contacts"]):
        _check_row(row, f"contacts[{position}]")
    return members["contacts"], option


def _check_row(row: object, path: str) -> None:
    if not isinstance(row, dict):
        raise bad_request("The request body has the wrong structure", [(path, "must be an object")])
    for name, kind in (("identifiers", dict), ("matchIdentifier", str), ("dataFields", dict)):
        if name in row or name != "dataFields":
            _require(row, name, kind, path)
    if any(isinstance(value, bool) for value in row["identifiers"].values()):
        raise invalid_id("identifiers", "true or false")
    details: list[Detail] = []
    try:
        read_relations(row, None, "PATCH", ContactBody(), details)
    except ApiError as error:
        raise _under(path, error) from None
    if details:
        raise _under(path, invalid_value(details))


def _require(row: Mapping[str, object], name: str, kind: type, path: str) -> None:
    if not row.get(name) and name != "dataFields":
        raise bad_request(f"The contact has no {name}", [(f"{path}.{name}", "is required")])
    if not isinstance(row[name], kind):
        wanted = "an object" if kind is dict else "text"
        raise bad_request("The request body has the wrong structure", [(f"{path}.{name}", f"must be {wanted}")])


def _under(path: str, error: ApiError) -> ApiError:
    """`error` with the row's path before each of its items."""
    details: Any = error.body.get("details", ())
    named = [(f"{path}.{detail['item']}", str(detail["description"])) for detail in details]
    return v3_error(error.status, str(error.body["errorCode"]), str(error.body["description"]), named)
