"""The state of a Dotdigital sandbox, read over its admin call."""

import json
from decimal import Decimal
from typing import Any

import httpx

from streams.errors import OwddError
from streams.oracle.compare import Actual

STATE = "/_sandbox/state"
_TIMEOUT_S = 120.0


class SandboxError(OwddError):
    """The sandbox cannot be reached, or what it answers is not a sandbox's state."""


def read_state(url: str, client: httpx.Client | None = None) -> list[Actual]:
    """Every contact with an e-mail address of the sandbox at ``url``, binned ones included.

    Raises:
        SandboxError: no connection, an HTTP error, or an answer of another shape.
    """
    target = url.rstrip("/") + STATE
    try:
        with client or httpx.Client(timeout=_TIMEOUT_S) as http:
            answer = http.get(target).raise_for_status()
            # Amounts are compared exactly: never through a binary float.
            state = json.loads(answer.text, parse_float=Decimal)
    except httpx.HTTPStatusError as error:
        raise SandboxError(f"{target} answered {error.response.status_code}: is this a sandbox?") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SandboxError(f"{target} cannot be reached ({error}): start the sandbox or correct --url") from error
    except ValueError as error:
        raise SandboxError(f"{target} did not answer JSON: is this a sandbox?") from error
    try:
        return [_actual(contact) for contact in state["contacts"] if contact["email"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise SandboxError(f"{target}: unexpected shape ({error!r}): sandbox and client versions differ") from error


def _actual(contact: dict[str, Any]) -> Actual:
    return Actual(
        email=contact["email"],
        status=contact["status"],
        fields=dict(contact["dataFields"]),
        binned=bool(contact["binned"]),
    )
