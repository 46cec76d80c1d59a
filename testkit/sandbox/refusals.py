"""Replies that come from in front of the services: throttling, gateways, credentials, regions."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from testkit.sandbox.error_replies import denied, is_v2, json_response, v2_error, v3_error

_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def throttled(headers: Mapping[str, str]) -> Response:
    """A tier's budget is used up. It differs from a full job queue by having no errorCode."""
    return json_response({"message": "Too many requests."}, 429, headers)


def capped() -> Response:
    """The deprecated hourly limit answers in the v2 shape, and with 400."""
    text = "Your account has generated excess API activity and is being temporarily capped. "
    return json_response({"message": f"{text}ERROR_APIUSAGE_EXCEEDED"}, 400)


def bad_gateway() -> Response:
    return Response(_BAD_GATEWAY, 502, media_type="text/html; charset=utf-8")


def failed(status: int, path: str) -> Response:
    """500 or 503 in the shape of the framework that serves `path`."""
    v2_code, v3_code = {
        500: ("ERROR_UNKNOWN", "server:error"),
        503: ("ERROR_SYSTEM_SERVICETEMPORARILYUNAVAILABLE", "server:unavailable"),
    }[status]
    text = "The service failed to answer."
    error = v2_error(status, f"{text} {v2_code}") if is_v2(path) else v3_error(status, v3_code, text)
    return json_response(error.body, error.status)


def unauthorized(path: str) -> Response:
    error = denied(path)
    return json_response(error.body, error.status)


def wrong_region() -> Response:
    """The 403 of a host that does not serve the account."""
    return json_response({"message": "Forbidden - access is denied"}, 403)
