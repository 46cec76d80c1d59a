"""Kafka Connect's REST API, typed.

A call that meets a rebalance (409) is repeated with jitter; any other failure becomes an error with a remedy. The API
asks for no credentials unless a proxy or an extension does (OWDD_CONNECT_USER): keep it on a private network.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt

from streams.connect.connect_errors import ConnectBusy, ConnectorMissing, ConnectRefused, ConnectUnreachable
from streams.connect.masking import scrubbed
from streams.connect.render import Config
from streams.connect.responses import Offset, Offsets, Plugin, Refusal, Status, Validation
from streams.core.backoff import RetryPolicy, last_result
from streams.kafka.security import ca_context
from streams.settings import Settings

VALIDATION_SECONDS: Final = 95.0
"""A worker answers within 90 s (``HerderRequestHandler``), of which Debezium gives an unreachable database up to 60."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Busy:
    """How long to wait for the end of a rebalance: number of calls, and the time between them."""

    calls: int = 12
    wait: RetryPolicy = field(default_factory=lambda: RetryPolicy(0.5, 5.0))


class ConnectClient:
    """The workers behind one address. Safe to share between tasks of one event loop.

    Every method raises :class:`ConnectUnreachable`, :class:`ConnectBusy`, :class:`ConnectorMissing` or
    :class:`ConnectRefused`; ``timeout`` is in seconds for one call.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = VALIDATION_SECONDS,
        busy: Busy | None = None,
        auth: tuple[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        # Workers are on a private network, which a proxy of the environment cannot reach.
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
            trust_env=False,
            auth=auth,
            verify=verify,
        )
        self._busy = busy or Busy()
        self._rng = Random()

    @classmethod
    def of(cls, settings: Settings, *, timeout: float = VALIDATION_SECONDS, busy: Busy | None = None) -> Self:
        """The site's workers, with its credentials and CA.

        Raises:
            ConfigurationError: the CA cannot be used.
        """
        auth = (settings.connect_user, settings.connect_password.get_secret_value()) if settings.connect_user else None
        verify = ca_context(settings.connect_ca, "OWDD_CONNECT_CA") if settings.connect_ca else True
        return cls(settings.connect_url, timeout=timeout, busy=busy, auth=auth, verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def health(self) -> None:
        """Return if the worker is ready to serve.

        Raises:
            ConnectUnreachable: it does not exist, or is still starting.
        """
        await self._call("GET", "/health")

    async def plugins(self) -> list[Plugin]:
        """The connector plugins that the worker found."""
        return await self._get("/connector-plugins", list[Plugin])

    async def validate(self, config: Config) -> Validation:
        """The plugin's validation of ``config``; this call connects to the database."""
        path = f"/connector-plugins/{_part(config['connector.class'])}/config/validate"
        return _read("PUT " + path, await self._call("PUT", path, config), Validation)

    async def config(self, name: str) -> dict[str, str]:
        """The running configuration, **secrets in clear** unless they are references."""
        return await self._get(f"{_connector(name)}/config", dict[str, str])

    async def put_config(self, name: str, config: Config) -> None:
        """Create the connector, or give it another configuration."""
        await self._call("PUT", f"{_connector(name)}/config", config)

    async def status(self, name: str) -> Status:
        """State of connector and tasks. For some seconds after creation the answer is :class:`ConnectorMissing`."""
        return await self._get(f"{_connector(name)}/status", Status)

    async def restart_failed(self, name: str) -> None:
        """Restart failed parts, connector or task, and no others."""
        await self._call("POST", f"{_connector(name)}/restart?includeTasks=true&onlyFailed=true")

    async def pause(self, name: str) -> None:
        """Ask the connector to pause; its tasks stay assigned."""
        await self._call("PUT", f"{_connector(name)}/pause")

    async def resume(self, name: str) -> None:
        """Ask a paused or stopped connector to continue."""
        await self._call("PUT", f"{_connector(name)}/resume")

    async def stop(self, name: str) -> None:
        """Ask the connector to stop and free its tasks; offsets can be changed only then."""
        await self._call("PUT", f"{_connector(name)}/stop")

    async def offsets(self, name: str) -> tuple[Offset, ...]:
        """The committed offsets; none before the first commit."""
        return (await self._get(f"{_connector(name)}/offsets", Offsets)).offsets

    async def delete_offsets(self, name: str) -> None:
        """Forget the committed offsets of a stopped connector."""
        await self._call("DELETE", f"{_connector(name)}/offsets")

    async def topics(self, name: str) -> list[str]:
        """The topics that the connector has written to since it was created."""
        found = await self._get(f"{_connector(name)}/topics", dict[str, dict[str, list[str]]])
        return found[name]["topics"]

    async def _get(self, path: str, shape: type[_T]) -> _T:
        return _read(f"GET {path}", await self._call("GET", path), shape)

    async def _call(self, method: str, path: str, config: Config | None = None) -> bytes:
        call = f"{method} {path.partition('?')[0]}"
        answer: httpx.Response = await AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_result(lambda answer: answer.status_code == httpx.codes.CONFLICT),
            wait=self._busy.wait.wait(self._rng),
            stop=stop_after_attempt(self._busy.calls),
            retry_error_callback=last_result,
        )(self._send, call, method, path, config)
        if answer.is_success:
            return answer.content
        raise _failure(call, answer, config or {})

    async def _send(self, call: str, method: str, path: str, config: Config | None) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=config)
        except httpx.TimeoutException as error:
            raise ConnectUnreachable(call, f"no answer within {error.request.extensions['timeout']['read']:g} s") from None
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                reason = "its certificate is not signed by a CA that we trust, or is for another host (OWDD_CONNECT_CA)"
                raise ConnectUnreachable(call, reason) from None
            raise ConnectUnreachable(call, f"no connection ({type(error).__name__})") from None


def _connector(name: str) -> str:
    return f"/connectors/{_part(name)}"


def _part(text: str) -> str:
    return quote(text, safe="")


def _read(call: str, body: bytes, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise ConnectUnreachable(call, f"the response is not Kafka Connect's ({error})") from None


def _failure(call: str, response: httpx.Response, config: Config) -> Exception:
    status = response.status_code
    message = scrubbed(_message(response.content), config) or response.reason_phrase
    if status == httpx.codes.CONFLICT:
        return ConnectBusy(call, message)
    if status >= 500:
        return ConnectUnreachable(call, f"HTTP {status}: {message}")
    if status == httpx.codes.NOT_FOUND:
        return ConnectorMissing(call, message)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        message = f"{message}; check OWDD_CONNECT_USER and OWDD_CONNECT_PASSWORD"
    return ConnectRefused(call, status, message)


def _message(body: bytes) -> str:
    """The message of an error, if Kafka Connect wrote it; a proxy's page is ignored."""
    try:
        found: Any = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        return ""
    return str(found.message).strip().rstrip(".")
