"""Maps an unsuccessful response to the error that names its remedy. Descriptions are never copied: they quote personal data."""

import re
from typing import Any, Final

import httpx
import orjson

from streams.dotdigital.codes import REASONS, ErrorClass, explain, known
from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    ContactExistsError,
    CredentialsError,
    DataError,
    DotdigitalError,
    Limit,
    MissingError,
    NotFoundError,
    RegionError,
    ThrottledError,
    TransientError,
    UnavailableError,
)
from streams.dotdigital.limits import reset_at
from streams.dotdigital.tiers import Operation

_V2_CODE: Final = re.compile(r"ERROR_[A-Z_]+")
_V3_CODE: Final = re.compile(r"[A-Za-z]{1,40}:[A-Za-z]{1,40}")
_MEMBER: Final = re.compile(r"[A-Za-z_]{1,40}")
_REASON: Final = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
"""A code of an import report in a sentence: at least two capitalised parts, since ``Unknown`` or ``Duplicate`` may be prose."""
_RECORD_REFUSED: Final = "insightData:badJson"
_LONGEST_SHAPE: Final = 300

_DATA_ERRORS: Final[dict[ErrorClass, type[DataError]]] = {
    ErrorClass.EXISTS: ContactExistsError,
    ErrorClass.MISSING: MissingError,
    ErrorClass.NOT_FOUND: NotFoundError,
    ErrorClass.DATA: DataError,
}
_JOB_LIMITS: Final = {Operation.IMPORT_CONTACTS: Limit.CONTACT_IMPORTS, Operation.IMPORT_RECORDS: Limit.INSIGHT_IMPORTS}


def error_from_response(operation: Operation, response: httpx.Response) -> DotdigitalError:
    """The error for an unsuccessful response."""
    # The order of the checks matters. The old hourly limit is a 400, so its code is checked before the statuses. The code of a
    # 403 says more than the status, so it comes first. Gateways in front of Dotdigital answer without a code.
    status, body = response.status_code, _parsed(response)
    code = _code(body)
    meaning = explain(code) if code is not None else None
    if status == httpx.codes.TOO_MANY_REQUESTS or (meaning is not None and meaning.error_class is ErrorClass.THROTTLED):
        return _throttled(operation, response, code)
    if status == httpx.codes.UNAUTHORIZED:
        return CredentialsError(operation)
    if meaning is not None and code is not None and meaning.error_class is ErrorClass.ACCESS:
        return AccessError(operation, code, meaning.hint)
    if status == httpx.codes.FORBIDDEN:
        return RegionError(operation)
    if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
        return ConnectivityError(operation, f"http-{status}")
    if code is None or meaning is None:
        return _without_code(operation, response, body)
    if meaning.error_class is ErrorClass.UNAVAILABLE:
        return UnavailableError(operation, code)
    if meaning.error_class is ErrorClass.LATER:
        return TransientError(operation, code)
    return _DATA_ERRORS[meaning.error_class](operation, code, "" if known(code) else shape(body))


def _throttled(operation: Operation, response: httpx.Response, code: str | None) -> ThrottledError:
    """The error of a reached limit.

    Dotdigital answers 429 both when the calls of a minute are used up and when too many jobs run. A job limit has a code, a
    used-up minute has none. An unknown code on a call that starts a job is taken for that job's limit: the code for more than
    five insight imports is not published.
    """
    limit = explain(code).limit if code is not None else None
    if limit is None and code is not None:
        limit = _JOB_LIMITS.get(operation)
    if limit is not None:
        return ThrottledError(operation, None, limit)
    return ThrottledError(operation, reset_at(response.headers))


def _without_code(operation: Operation, response: httpx.Response, body: Any) -> DotdigitalError:
    status = response.status_code
    if response.is_redirect or status in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
        # Dotdigital's own 404 has a code. One without comes from a wrong URL, and would park every delivery in turn.
        return AccessError(operation, f"http-{status}", "no code in the answer: is OWDD_DOTDIGITAL_URL right?")
    return DataError(operation, f"http-{status}", shape(body))


def _parsed(response: httpx.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def _code(body: Any) -> str | None:
    """Dotdigital's code: ``errorCode`` in v3, the last ``ERROR_...`` of ``message`` in v2; a gateway's response has neither."""
    if not isinstance(body, dict):
        return None
    given = body.get("errorCode")
    if isinstance(given, str) and _V3_CODE.fullmatch(given.strip()):
        return _record_reason(body) if given.strip() == _RECORD_REFUSED else given.strip()
    found = _V2_CODE.findall(str(body.get("message", "")))
    return str(found[-1]) if found else None


def _record_reason(body: dict[str, Any]) -> str:
    """The reason for which a single record was refused.

    No codes are published for it. The code of an import report is used if the description contains one.
    """
    words = _REASON.findall(str(body.get("description", "")))
    return next((word for word in words if word in REASONS), _RECORD_REFUSED)


def shape(body: Any) -> str:
    """The members of a body and their types, without any value. Names that could be data are replaced by ``?``."""
    return _shape(body, 3)[:_LONGEST_SHAPE]


def _shape(value: Any, depth: int) -> str:
    if isinstance(value, dict) and depth:
        named = [f"{name if _MEMBER.fullmatch(name) else '?'}: {_shape(item, depth - 1)}" for name, item in value.items()]
        return f"{{{', '.join(named)}}}"
    if isinstance(value, list) and depth:
        return f"[{_shape(value[0], depth - 1)}, …]" if value else "[]"
    return type(value).__name__
