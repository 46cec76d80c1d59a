"""The sandbox's own controls under `/_sandbox/`: no part of Dotdigital, no credentials, loopback only.

Mistakes in an admin call are a 400 with `{"message"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from testkit.sandbox.codec import BadJsonError, loads
from testkit.sandbox.consent import STATUSES
from testkit.sandbox.error_replies import ApiError, json_response
from testkit.sandbox.faults import Faults
from testkit.sandbox.identifiers import EMAIL, normalise
from testkit.sandbox.insight_records import shown
from testkit.sandbox.instants import parse_instant, stamp
from testkit.sandbox.middleware import ADMIN_PREFIX
from testkit.sandbox.programs import STATUSES as STATUSES_OF_PROGRAMS
from testkit.sandbox.store import Contact, Store

DEFAULT_LIMIT = 1000


class Admin:
    """Handlers of the admin routes."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def routes(self) -> list[Route]:
        return [
            Route(ADMIN_PREFIX + name, handler, methods=methods)
            for name, handler, methods in (
                ("state", self.state, ["GET"]),
                ("requests", self.requests, ["GET"]),
                ("counters", self.counters, ["GET"]),
                ("reset", self.reset, ["POST"]),
                ("contacts", self.seed, ["POST"]),
                ("unsubscribe", self.unsubscribe, ["POST"]),
                ("faults", self.faults, ["GET", "POST"]),
                ("limits", self.limits, ["GET", "POST"]),
                ("limits/consume", self.consume, ["POST"]),
                ("jobs", self.jobs, ["GET"]),
                ("jobs/release", self.release, ["POST"]),
                ("records", self.records, ["GET"]),
                ("events", self.events, ["GET"]),
                ("programs", self.programs, ["GET", "POST"]),
            )
        ]

    async def state(self, _request: Request) -> Response:
        """`{now, contacts, dataFields, lists}`, contacts by ascending id and binned ones included."""
        return json_response(
            {
                "now": self._store.now(),
                "contacts": [_shown(contact) for contact in self._store],
                "dataFields": [made.as_reply() for made in self._store.fields],
                "lists": [asdict(book) for book in self._store.lists],
            }
        )

    async def requests(self, request: Request) -> Response:
        """`{total, requests: [...]}`: calls numbered above `since`, oldest first, at most `limit`."""
        since, limit = _number(request, "since", 0), _number(request, "limit", DEFAULT_LIMIT)
        rows = [row.as_reply() for row in self._store.log.since(since, limit)]
        return json_response({"total": self._store.log.total, "requests": rows})

    async def counters(self, _request: Request) -> Response:
        return json_response(self._store.log.counters())

    async def reset(self, _request: Request) -> Response:
        """Back to the configured start: everything in the account, log, counters, budgets and faults."""
        self._store.reset()
        self._faults.reset()
        return json_response({"reset": True})

    async def seed(self, request: Request) -> Response:
        """Put contacts in, in any status. Takes `{contacts: [...]}`, answers `{contactIds: [...]}`.

        A bad row is a 400, and the rows before it stay.
        """
        rows = (await _body(request)).get("contacts")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _wrong("contacts must be an array of objects")
        return json_response({"contactIds": [self._put(row).id for row in rows]}, 201)

    async def unsubscribe(self, request: Request) -> Response:
        """What the holder's click on the unsubscribe link does."""
        email = normalise(EMAIL, (await _body(request)).get("email"), ())
        contact = self._store.find(EMAIL, email)
        if contact is None or contact.binned is not None:
            raise HTTPException(404, "no contact has this e-mail")
        contact.updated = now = self._store.now()
        contact.set_email_status("unsubscribed", now)
        return json_response(_shown(contact))

    async def faults(self, request: Request) -> Response:
        """Show the faults; POST merges the given members first."""
        if request.method == "POST":
            try:
                self._faults.update(await _body(request))
            except ValueError as error:
                raise _wrong(str(error)) from None
        return json_response(self._faults.show())

    async def limits(self, request: Request) -> Response:
        """Show the budgets and what is used of them; POST sets budgets first, null lifts one."""
        if request.method == "POST":
            try:
                self._store.limits.update(await _body(request))
            except ValueError as error:
                raise _wrong(str(error)) from None
        return json_response(self._store.limits.show(self._store.clock().timestamp()))

    async def consume(self, request: Request) -> Response:
        """Use up `{tier, calls}`, as another system with the same account would."""
        members = await _body(request)
        calls = members.get("calls")
        if not isinstance(calls, int) or isinstance(calls, bool) or calls < 1:
            raise _wrong("calls must be a whole number from 1")
        now = self._store.clock().timestamp()
        try:
            self._store.limits.consume(str(members.get("tier")), calls, now)
        except ValueError as error:
            raise _wrong(str(error)) from None
        return json_response(self._store.limits.show(now))

    async def jobs(self, request: Request) -> Response:
        """`{total, jobs: [{id, kind, state, accepted, due, fault, owners}]}`, oldest first, but for the first `since`.

        The due time of a stuck one is null. `owners`: the contact of every row that an import carried out, 0 for the account.
        """
        names = ("id", "kind", "state", "accepted", "due", "fault", "owners")
        jobs, since = list(self._store.jobs), _number(request, "since", 0)
        return json_response(
            {"total": len(jobs), "jobs": [{name: getattr(job, name) for name in names} for job in jobs[since:]]}
        )

    async def release(self, _request: Request) -> Response:
        """Let stuck imports finish."""
        return json_response({"released": self._store.jobs.release()})

    async def records(self, _request: Request) -> Response:
        """`{collections: [{name, scope, type, records: [...]}]}`, records of binned contacts included."""
        rows = [
            {
                "name": held.name,
                "scope": held.scope,
                "type": held.type,
                "records": [shown(row) for row in held.records.values()],
            }
            for held in self._store.insight
        ]
        return json_response({"collections": rows})

    async def events(self, _request: Request) -> Response:
        """`{events: [...]}`: what was imported for contacts that existed, oldest first."""
        return json_response({"events": self._store.events})

    async def programs(self, request: Request) -> Response:
        """`{programs: [{id, status, contacts}]}`; POST takes `{id, status}` and makes or changes one first."""
        programs = self._store.programs
        if request.method == "POST":
            members = await _body(request)
            number, status = members.get("id"), members.get("status")
            if not isinstance(number, int) or status not in STATUSES_OF_PROGRAMS:
                raise _wrong(f"id must be a number and status one of {', '.join(STATUSES_OF_PROGRAMS)}")
            programs.statuses[number] = str(status)
        rows = [
            {"id": number, "status": status, "contacts": programs.enrolled.get(number, [])}
            for number, status in programs.statuses.items()
        ]
        return json_response({"programs": rows})

    def _put(self, row: Mapping[str, object]) -> Contact:
        """Create or overwrite one contact; data fields and identifiers left out keep their value."""
        status, opt_in = self._states(row)
        identifiers = {
            kind: normalise(kind, row[kind], self._store.config.custom_identifiers)
            for kind in row.keys() & ({EMAIL, "mobileNumber"} | self._store.config.custom_identifiers)
        }
        if EMAIL not in identifiers:
            raise _wrong("every contact needs an email")
        data, rejected = self._store.fields.check(_mapping(row.get("dataFields", {})))
        if rejected:
            raise _wrong("; ".join(f"{name} {text}" for name, text in rejected))
        contact = self._store.find(EMAIL, identifiers[EMAIL])
        taken = self._store.taken(identifiers, contact)
        if taken is not None:
            raise _wrong(f"{taken[0]} {taken[1]} belongs to another contact")
        if contact is None:
            contact = self._store.create(identifiers)
        else:
            self._store.rename(contact, contact.identifiers | identifiers)
        for name, value in data.items():
            if value is None:
                contact.data.pop(name, None)
            else:
                contact.data[name] = value
        contact.set_email_status(status, self._store.now())
        contact.opt_in = opt_in
        contact.created = _instant(row, "created", contact.created)
        contact.updated = _instant(row, "updated", self._store.now())
        contact.binned = None
        if row.get("binned") is True:
            self._store.bin(contact)
        return contact

    def _states(self, row: Mapping[str, object]) -> tuple[str, str]:
        """Status and opt-in type of a row whose members are all known."""
        unknown = row.keys() - _SEED_MEMBERS - self._store.config.custom_identifiers
        if unknown:
            raise _wrong(f"unknown members: {', '.join(sorted(unknown))}")
        status = row.get("status", "subscribed")
        if status not in STATUSES:
            raise _wrong(f"status must be one of {', '.join(sorted(STATUSES))}")
        opt_in = row.get("optInType", "Unknown")
        if opt_in not in _OPT_IN_TYPES:
            raise _wrong(f"optInType must be one of {', '.join(_OPT_IN_TYPES)}")
        return str(status), str(opt_in)


_OPT_IN_TYPES = ("Unknown", "Single", "Double", "VerifiedDouble")
_SEED_MEMBERS = frozenset((EMAIL, "mobileNumber", "status", "optInType", "dataFields", "created", "updated", "binned"))


def _shown(contact: Contact) -> dict[str, object]:
    return {
        "contactId": contact.id,
        "email": contact.email,
        "status": contact.email_status,
        "emailType": contact.email_type,
        "optInType": contact.opt_in,
        "identifiers": contact.identifiers,
        "dataFields": contact.data,
        "lists": contact.lists,
        "preferences": {str(number): opted_in for number, opted_in in contact.preferences.items()},
        "consentRecords": contact.consents,
        "binned": contact.binned is not None,
        "created": contact.created,
        "updated": contact.updated,
    }


def _wrong(message: str) -> ApiError:
    return ApiError(400, {"message": message})


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong("an object is expected")
    return value


async def _body(request: Request) -> dict[str, object]:
    try:
        return _mapping(loads(await request.body()))
    except BadJsonError:
        raise _wrong("the body is not JSON") from None


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise _wrong(f"{name} must be a whole number")
    return int(text)


def _instant(row: Mapping[str, object], name: str, default: str) -> str:
    if name not in row:
        return default
    value = row[name]
    moment = parse_instant(value) if isinstance(value, str) else None
    if moment is None:
        raise _wrong(f"{name} must be an ISO-8601 date and time with Z or an offset")
    return stamp(moment)
