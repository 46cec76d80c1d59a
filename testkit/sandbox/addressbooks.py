"""The v2 address books: lists, and who is on them.

Adding a contact creates or updates it, as the v2 contact calls do, and is refused for a suppressed one. Removal is the
only way off a list beside deletion; v3 has none. Choices: removing a contact that is not on the list is a 204; the
codes for values that a data field cannot hold are told apart by length only.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import jobs as states
from testkit.sandbox import v2
from testkit.sandbox.bodies import ContactBody
from testkit.sandbox.consent import HARD_STATUSES
from testkit.sandbox.datafields import TEXT_LIMIT
from testkit.sandbox.error_replies import ApiError, json_response, v2_error
from testkit.sandbox.identifiers import EMAIL, normalise
from testkit.sandbox.jobs import Job
from testkit.sandbox.lists import AddressBook
from testkit.sandbox.store import Contact, Store
from testkit.sandbox.writing import OVERWRITE, Writer

KIND = "listRemoval"
_NO_LIST = "ERROR_ADDRESSBOOK_NOT_FOUND"
_STATUSES = {states.RUNNING: "Started", states.FINISHED: "Completed"}
_OPT_IN = {name.lower(): name for name in ("Unknown", "Single", "Double", "VerifiedDouble")}
_EMAIL_TYPES = {"html": "Html", "plaintext": "PlainText"}


class AddressBookCalls:
    """Handlers of `/v2/address-books`."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        store.jobs.register(KIND, self._run)

    async def create(self, request: Request) -> Response:
        members = await v2.object_body(request)
        book = self._store.lists.create(members.get("name"), members.get("visibility") or "Private")
        return json_response(_shown(book, 0), 201)

    async def all(self, request: Request) -> Response:
        counts = Counter(number for contact in self._store for number in contact.lists)
        return json_response([_shown(book, counts[book.id]) for book in v2.paged(request, list(self._store.lists))])

    async def read(self, request: Request) -> Response:
        return json_response(self._counted(self._book(request)))

    async def change(self, request: Request) -> Response:
        book, members = self._book(request), await v2.object_body(request)
        self._store.lists.change(book, members.get("name"), members.get("visibility") or book.visibility)
        return json_response(self._counted(book))

    async def delete(self, request: Request) -> Response:
        book = self._book(request)
        for contact in self._members(book.id):
            contact.lists.remove(book.id)
        self._store.lists.delete(book.id)
        return Response(status_code=204)

    async def contacts(self, request: Request) -> Response:
        full = request.query_params.get("withFullData", "false").lower() == "true"
        rows = v2.paged(request, self._members(self._book(request).id))
        return json_response([v2.shown(contact, full=full) for contact in rows])

    async def of_contact(self, request: Request) -> Response:
        contact = v2.contact_by_id(self._store, v2.number_in(request, "id", "ERROR_CONTACT_NOT_FOUND"))
        if contact is None:
            raise v2.no_contact()
        books = [book for book in self._store.lists if book.id in contact.lists]
        return json_response([self._counted(book) for book in v2.paged(request, books)])

    async def add(self, request: Request) -> Response:
        book = self._book(request)
        body = self._body(await v2.object_body(request))
        body.lists = [book.id]
        contact = self._store.find(EMAIL, body.identifiers[EMAIL])
        if contact is None:
            contact = self._writer.add(body, body.identifiers)
        elif contact.email_status in HARD_STATUSES:
            raise v2_error(400, "The contact is suppressed. ERROR_CONTACT_SUPPRESSED")
        else:
            self._writer.update(contact, body, OVERWRITE)
        return json_response(v2.shown(contact, full=True))

    async def remove(self, request: Request) -> Response:
        book = self._book(request)
        contact = v2.contact_by_id(self._store, v2.number_in(request, "contactId", "ERROR_CONTACT_NOT_FOUND"))
        if contact is None:
            raise v2.no_contact()
        self._take_off(contact, book.id)
        return Response(status_code=204)

    async def remove_many(self, request: Request) -> Response:
        book, ids = self._book(request), await v2.json_body(request)
        if not isinstance(ids, list) or not ids:
            raise v2_error(400, "Error: ERROR_CONTACTS_ARE_NOT_SPECIFIED")
        return self._start({"list": book.id, "contacts": ids})

    async def remove_all(self, request: Request) -> Response:
        return self._start({"list": self._book(request).id, "contacts": None})

    async def removal(self, request: Request) -> Response:
        job = self._store.jobs.find(KIND, request.path_params["id"])
        if job is None:
            raise v2_error(404, "Error: ERROR_IMPORT_NOT_FOUND")
        return json_response({"id": job.id, "status": _STATUSES[job.state]})

    def _start(self, payload: dict[str, Any]) -> Response:
        return json_response({"id": self._store.jobs.start(KIND, payload).id, "status": "Started"}, 202)

    def _run(self, job: Job) -> None:
        number, ids = job.payload["list"], job.payload["contacts"]
        for contact in self._members(number):
            if ids is None or contact.id in ids:
                self._take_off(contact, number)

    def _take_off(self, contact: Contact, number: int) -> None:
        if number in contact.lists:
            contact.lists.remove(number)
            contact.updated = self._store.now()

    def _book(self, request: Request) -> AddressBook:
        return self._store.lists.find(v2.number_in(request, "list", _NO_LIST))

    def _members(self, number: int) -> list[Contact]:
        return [contact for contact in self._store if number in contact.lists]

    def _counted(self, book: AddressBook) -> dict[str, Any]:
        return _shown(book, len(self._members(book.id)))

    def _body(self, members: dict[str, Any]) -> ContactBody:
        """A v2 contact. Raises ApiError 400 with ERROR_INVALID_EMAIL, ERROR_CONTACT_INVALID or ERROR_DATAFIELD_..."""
        body = ContactBody()
        try:
            body.identifiers = {EMAIL: normalise(EMAIL, members.get("email"), ())}
        except ApiError:
            raise v2_error(400, "The e-mail address is not valid. ERROR_INVALID_EMAIL") from None
        body.opt_in = _word(members.get("optintype"), _OPT_IN)
        body.email_type = _word(members.get("emailtype"), _EMAIL_TYPES)
        rows = members.get("datafields") or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("key"), str) for row in rows):
            raise v2_error(400, "Data fields must be an array of key and value. ERROR_CONTACT_INVALID")
        values = {row["key"]: row.get("value") for row in rows}
        body.data, wrong = self._store.fields.check(values)
        for name, text in wrong:
            raise v2_error(400, f"{name} {text}. {self._code(name, values[name])}")
        return body

    def _code(self, name: str, value: object) -> str:
        if self._store.fields.find(name) is None:
            return "ERROR_DATAFIELD_NOTFOUND"
        long = isinstance(value, str) and len(value) > TEXT_LIMIT
        return "ERROR_DATAFIELD_VALUE_OVERFLOW" if long else "ERROR_DATAFIELD_INVALID"


def _shown(book: AddressBook, contacts: int) -> dict[str, Any]:
    return {"id": book.id, "name": book.name, "visibility": book.visibility, "contacts": contacts}


def _word(value: object, known: dict[str, str]) -> str | None:
    if value is None:
        return None
    word = known.get(str(value).lower())
    if word is None:
        raise v2_error(400, f"'{value}' is not one of {', '.join(known.values())}. ERROR_CONTACT_INVALID")
    return word
