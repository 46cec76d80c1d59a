"""The calls. HTTP/1.1 with keep-alive, few connections, explicit timeouts; every answer checked before it is believed.

Sources: Dotdigital's contacts service 3.x and v2 API; ``docs/delivery.md`` says which behaviour is relied on.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias
from urllib.parse import quote

import httpx
import orjson

from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    ContactExistsError,
    DataError,
    ThrottledError,
)
from streams.settings import Settings

Observer: TypeAlias = Callable[[str, str, float], None]
"""Told of every call: operation, HTTP status or failure, seconds."""

SUBSCRIBED: Final = "subscribed"
UNSUBSCRIBED: Final = "unsubscribed"
_NOT_REFUSED: Final = frozenset({"subscribed", "pendingoptin", "softbounced", "hardbounced", "nosubscription"})
"""Statuses without anybody's refusal. A bounce says something of the mailbox, and does not follow the person to another."""

_V2_CODE: Final = re.compile(r"ERROR_[A-Z_]+")


@dataclass(frozen=True, slots=True)
class Contact:
    """What Dotdigital says of a contact: its id, the status of its e-mail channel and its address, both lower-cased."""

    contact_id: int
    email_status: str
    email: str = ""

    @property
    def tight(self) -> bool:
        """Whether somebody refused: unsubscribed, suppressed, complained, and every status that we do not know."""
        return self.email_status not in _NOT_REFUSED


@dataclass(frozen=True, slots=True)
class Upserted:
    """The answer to a PATCH: the contact, and whether the call created it."""

    contact: Contact
    created: bool


class DotdigitalClient:
    """One account's API. Safe to share between tasks of one event loop."""

    def __init__(self, settings: Settings, observe: Observer, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # A blank around the credentials is the most common reason for a 401.
        user = settings.dotdigital_user.strip()
        password = settings.dotdigital_password.get_secret_value().strip()
        self._observe = observe
        # One client per connection: a pool of eight costs httpcore twice the time of eight pools of one, since every call
        # asks every idle socket whether it still lives (docs/performance.md).
        self._clients = [
            httpx.AsyncClient(
                base_url=settings.dotdigital_url.rstrip("/"),
                auth=httpx.BasicAuth(user, password),
                timeout=httpx.Timeout(settings.dispatch_timeout, connect=min(10.0, settings.dispatch_timeout), pool=None),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                transport=transport,
            )
            for _ in range(settings.dispatch_connections)
        ]
        # Last in, first out: what is used stays warm, what is not needed is closed by the other side.
        self._idle: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for client in self._clients:
            self._idle.put_nowait(client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    async def account(self) -> dict[str, str]:
        """The account's properties by name; all values are text."""
        answer = await self._call("account-info", "GET", "/v2/account-info")
        return {item["name"]: str(item.get("value", "")) for item in _json(answer, "account-info").get("properties", [])}

    async def find(self, email: str) -> Contact | None:
        """The contact with that address, or None."""
        try:
            answer = await self._call("get-contact", "GET", f"/contacts/v3/email/{quote(email, safe='')}")
        except DataError as error:
            if error.code == "contacts:contactNotFound":
                return None
            raise
        return _contact(answer, "get-contact")

    async def create(self, email: str, fields: bytes, status: Literal["subscribed", "unsubscribed"]) -> Contact:
        """Create a contact with an explicit status: without one Dotdigital would subscribe it.

        Raises:
            ContactExistsError: somebody created it in the meantime.
        """
        body = _body(email, fields, status)
        return _contact(await self._call("create-contact", "POST", "/contacts/v3", body), "create-contact")

    async def update(self, email: str, fields: bytes, status: Literal["unsubscribed"] | None = None) -> Upserted:
        """Write data fields by address; ``status`` only to tighten. Creates the contact if it is gone."""
        path = f"/contacts/v3/email/{quote(email, safe='')}"
        answer = await self._call("patch-contact", "PATCH", path, _body(email, fields, status))
        return Upserted(_contact(answer, "patch-contact"), answer.status_code == httpx.codes.CREATED)

    async def change(self, contact_id: int, fields: bytes) -> Contact:
        """Write data fields by contact id. Names no address, so it cannot create a contact.

        Raises:
            DataError: there is no such contact, or the fields are refused.
        """
        body = orjson.dumps({"dataFields": orjson.Fragment(fields)})
        return _contact(
            await self._call("change-contact", "PATCH", f"/contacts/v3/contactId/{contact_id}", body), "change-contact"
        )

    async def delete(self, email: str) -> bool:
        """Delete a contact (into the recycle bin); False when there was none."""
        try:
            await self._call("delete-contact", "DELETE", f"/contacts/v3/email/{quote(email, safe='')}")
        except DataError as error:
            if error.code == "contacts:contactNotFound":
                return False
            raise
        return True

    async def data_fields(self) -> dict[str, str]:
        """The account's data fields: name to type."""
        answer = await self._call("list-data-fields", "GET", "/v2/data-fields")
        try:
            return {str(item["name"]): str(item["type"]) for item in orjson.loads(answer.content)}
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise ConnectivityError("list-data-fields", "not-json") from None

    async def create_data_field(self, name: str, kind: str) -> None:
        """Create a private data field; a field that exists already is left as it is."""
        body = orjson.dumps({"name": name, "type": kind, "visibility": "Private"})
        try:
            await self._call("create-data-field", "POST", "/v2/data-fields", body)
        except DataError as error:
            if error.code != "ERROR_NON_UNIQUE_DATAFIELD":
                raise

    async def _call(self, operation: str, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        client = await self._idle.get()
        started = time.perf_counter()
        outcome = "no-answer"
        try:
            answer = await client.request(method, path, content=body)
            outcome = str(answer.status_code)
        except httpx.TimeoutException as error:
            raise ConnectivityError(operation, "timeout") from error
        except httpx.HTTPError as error:
            raise ConnectivityError(operation, "no-answer") from error
        finally:
            self._idle.put_nowait(client)
            self._observe(operation, outcome, time.perf_counter() - started)
        if answer.is_success:
            return answer
        raise _failure(operation, answer)


def _failure(operation: str, answer: httpx.Response) -> Exception:
    status, code = answer.status_code, _code(answer)
    if status == httpx.codes.TOO_MANY_REQUESTS or code == "ERROR_APIUSAGE_EXCEEDED":
        return ThrottledError(operation, _reset(answer.headers))
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        hint = (
            "401: check OWDD_DOTDIGITAL_USER and OWDD_DOTDIGITAL_PASSWORD"
            if status == httpx.codes.UNAUTHORIZED
            else "403: the account lives in another region (see ApiEndpoint of /v2/account-info) or lacks a permission"
        )
        return AccessError(operation, hint)
    if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
        return ConnectivityError(operation, f"http-{status}")
    if status == httpx.codes.CONFLICT and code == "contacts:idAlreadyExists":
        return ContactExistsError(operation, code)
    if code is None and (answer.is_redirect or status in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)):
        # Not Dotdigital's own words, but a wrong URL's: nothing that one contact should be parked for.
        return AccessError(operation, f"{status} without a code: is OWDD_DOTDIGITAL_URL right?")
    return DataError(operation, code or f"http-{status}")


def _code(answer: httpx.Response) -> str | None:
    """Dotdigital's code: ``errorCode`` in v3, the last ``ERROR_...`` of ``message`` in v2; gateways give neither."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("errorCode"), str):
        return str(body["errorCode"])[:80]
    found = _V2_CODE.findall(str(body.get("message", "")))
    return str(found[-1]) if found else None


def _reset(headers: Mapping[str, str]) -> float | None:
    try:
        reset = float(headers["X-RateLimit-Reset"])
    except (KeyError, ValueError):
        return None
    return reset if math.isfinite(reset) else None


def _json(answer: httpx.Response, operation: str) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise ConnectivityError(operation, "not-json") from None
    if not isinstance(body, dict):
        raise ConnectivityError(operation, "not-json")
    return body


def _contact(answer: httpx.Response, operation: str) -> Contact:
    body = _json(answer, operation)
    channels = body.get("channelProperties")
    email = channels.get("email") if isinstance(channels, dict) else None
    status = email.get("status") if isinstance(email, dict) else body.get("status")
    if type(body.get("contactId")) is not int:
        raise ConnectivityError(operation, "not-a-contact")
    identifiers = body.get("identifiers")
    address = identifiers.get("email") if isinstance(identifiers, dict) else None
    return Contact(int(body["contactId"]), str(status or "").lower(), str(address or "").lower())


def _body(email: str, fields: bytes, status: str | None) -> bytes:
    body: dict[str, Any] = {"identifiers": {"email": email}, "dataFields": orjson.Fragment(fields)}
    if status is not None:
        body["channelProperties"] = {"email": {"status": status}}
    return orjson.dumps(body)
