"""What the v2 services share: bodies, paging, dates, and contacts as they show them.

Keys are matched without regard to case, as connectors send both camelCase and PascalCase. Statuses and dates are
spelled as in the v2 specifications: `Unsubscribed`, and a blank between date and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request

from testkit.sandbox.codec import BadJsonError, loads
from testkit.sandbox.error_replies import ApiError, v2_error
from testkit.sandbox.identifiers import EMAIL, normalise
from testkit.sandbox.instants import stamp
from testkit.sandbox.store import Contact, Store

MAX_SELECT = 1000
_STATUSES = {
    "blockedlocalpart": "MailBlocked",
    "sharedsuppression": "SharedSuppression",
    "sharedDomainSuppression": "SharedSuppression",
    "domainSuppressed": "DomainSuppression",
    "noSubscription": "NotAllowed",
}
_LONGEST_ID = 18

T = TypeVar("T")


async def json_body(request: Request) -> Any:
    """The body with every key in lower case. Raises ApiError 400 ERROR_MALFORMED_REQUEST unless it is JSON."""
    try:
        return _folded(loads(await request.body()))
    except BadJsonError:
        raise _malformed() from None


async def object_body(request: Request) -> dict[str, Any]:
    """As `json_body`, for a body that must be an object."""
    members = await json_body(request)
    if not isinstance(members, dict):
        raise _malformed()
    return members


def paged(request: Request, rows: Sequence[T], most: int = MAX_SELECT) -> Sequence[T]:
    """The rows from `skip`, at most `select` of them. Raises ApiError 400 ERROR_PARAMETER_INVALID."""
    query = request.query_params
    select, skip = query.get("select", str(most)), query.get("skip", "0")
    if not select.isdecimal() or not skip.isdecimal() or not 1 <= int(select) <= most:
        raise v2_error(400, f"select must be 1 to {most} and skip 0 or more. ERROR_PARAMETER_INVALID")
    return rows[int(skip) : int(skip) + int(select)]


def since(request: Request) -> str:
    """The stamp of the date in the path, which may lack its time or zone. Raises ApiError 400 ERROR_PARAMETER_INVALID."""
    try:
        moment = datetime.fromisoformat(request.path_params["date"])
    except ValueError:
        raise v2_error(400, "The date must be ISO-8601. ERROR_PARAMETER_INVALID") from None
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def number_in(request: Request, name: str, missing: str) -> int:
    """An id in the path; one that is no number exists as little as an unknown one: ApiError 404 with code `missing`."""
    text: str = request.path_params[name]
    if not text.isdecimal() or len(text) > _LONGEST_ID:
        raise v2_error(404, f"Error: {missing}")
    return int(text)


def contact_by_id(store: Store, number: object) -> Contact | None:
    """The contact outside the bin with an id."""
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    found = store.find("contactId", str(number))
    return found if found is not None and found.binned is None else None


def contact_by_email(store: Store, email: object) -> Contact | None:
    """The contact outside the bin with an e-mail. Raises ApiError 400 ERROR_INVALID_EMAIL."""
    try:
        found = store.find(EMAIL, normalise(EMAIL, email, ()))
    except ApiError:
        raise v2_error(400, "The e-mail address is not valid. ERROR_INVALID_EMAIL") from None
    return found if found is not None and found.binned is None else None


def no_contact() -> ApiError:
    return v2_error(404, "Error: ERROR_CONTACT_NOT_FOUND")


def shown(contact: Contact, *, full: bool) -> dict[str, Any]:
    """`{id, email, optInType, emailType, dataFields, status}`; data fields are null unless `full`."""
    return {
        "id": contact.id,
        "email": contact.email,
        "optInType": contact.opt_in,
        "emailType": contact.email_type,
        "dataFields": [{"key": name, "value": value} for name, value in contact.data.items()] if full else None,
        "status": status(contact),
    }


def status(contact: Contact) -> str:
    name = contact.email_status
    return _STATUSES.get(name, name[:1].upper() + name[1:])


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _folded(item) for name, item in value.items()}
    return [_folded(item) for item in value] if isinstance(value, list) else value


def _malformed() -> ApiError:
    return v2_error(400, "The request body is not the JSON that is expected. ERROR_MALFORMED_REQUEST")
