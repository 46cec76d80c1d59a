"""Error replies in the two shapes that Dotdigital uses.

v3 answers `{errorCode, description, details?}` and v2 `{message}` with the code as its last word. The codes are
those of the published contacts service and error list; the wording is the sandbox's own, except where a client is
known to match on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox.codec import dumps

JSON_TYPE = "application/json; charset=utf-8"

Detail = tuple[str, str]
"""What is wrong where: (item, description)."""


class ApiError(Exception):
    """A reply other than success, in either shape."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def v3_error(status: int, code: str, description: str, details: Sequence[Detail] = ()) -> ApiError:
    """A v3 reply, e.g. 400 `contacts:invalidValue` with one detail for each rejected item."""
    body: dict[str, object] = {"errorCode": code, "description": description}
    if details:
        body["details"] = [{"item": item, "description": text} for item, text in details]
    return ApiError(status, body)


def v2_error(status: int, message: str) -> ApiError:
    """A v2 reply; `message` ends with its ERROR_ code."""
    return ApiError(status, {"message": message})


def bad_json(description: str = "The request body is not valid JSON") -> ApiError:
    return v3_error(400, "contacts:badJson", description)


def bad_request(description: str, details: Sequence[Detail] = ()) -> ApiError:
    return v3_error(400, "contacts:badRequest", description, details)


def invalid_value(details: Sequence[Detail]) -> ApiError:
    """One or more members hold something that cannot be stored; `details` names each."""
    return v3_error(400, "contacts:invalidValue", "One or more values are invalid", details)


def invalid_filter(description: str) -> ApiError:
    return v3_error(400, "contacts:invalidFilter", description)


def invalid_id(kind: str, value: object) -> ApiError:
    return v3_error(400, "contacts:invalidId", f"'{value}' is not a valid value for the identifier '{kind}'")


def id_taken(kind: str, value: str) -> ApiError:
    return v3_error(409, "contacts:idAlreadyExists", f"Another contact already has '{value}' as its '{kind}'")


def not_found(kind: str, value: str) -> ApiError:
    details = [(value, f"No contact has this '{kind}'")]
    return v3_error(404, "contacts:contactNotFound", "The contact was not found", details)


def is_v2(path: str) -> bool:
    return path.startswith("/v2/")


def denied(path: str) -> ApiError:
    """The 401 of the framework that serves `path`.

    The v2 sentence is the one that Dotdigital's own connector matches. v3 is only known to answer with a JSON body
    and a charset; a body in the shape of every other v3 error is assumed.
    """
    if is_v2(path):
        return v2_error(401, "Authorization has been denied for this request.")
    return v3_error(401, "server:unauthorized", "Authorization has been denied for this request.")


def no_route(path: str, status: int) -> ApiError:
    text = "No such resource" if status == 404 else "The resource does not support this method"
    return v2_error(status, f"{text}.") if is_v2(path) else v3_error(status, "server:badRequest", text)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(value), status, headers, JSON_TYPE)


async def render_error(_request: Request, error: Exception) -> Response:
    """Starlette handler for ApiError."""
    assert isinstance(error, ApiError)
    return json_response(error.body, error.status)
