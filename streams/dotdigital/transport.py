"""One call: first the budget, then a connection, then the response or its error.

The order matters. A call that waits for the budget must not occupy a connection, or bulk work at its limit would block urgent
calls, which have a budget of their own.
"""

import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, TypeAlias

import httpx

from streams.core.lanes import Lane
from streams.dotdigital.config import ClientConfig
from streams.dotdigital.connections import Connections
from streams.dotdigital.credentials import Credentials
from streams.dotdigital.error_mapping import error_from_response
from streams.dotdigital.errors import ConnectivityError, Limit, NotSentError, ThrottledError
from streams.dotdigital.limits import SCOPE, rate_limit
from streams.dotdigital.tiers import Budget, Call, Operation, Tier

Observer: TypeAlias = Callable[[Call], None]
"""Called after every call."""

_SLOW_SECONDS: Final = 125.0
"""The timeout of bulk calls: Dotdigital may take 121 s for one, and a client that gives up earlier repeats an accepted call."""


class Transport:
    """The connections to one account. Safe to share between tasks of one event loop."""

    def __init__(
        self,
        config: ClientConfig,
        observe: Observer,
        budget: Budget,
        url: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._observe = observe
        self._budget = budget
        # The tier of each operation, once a response has named it: it takes precedence over the published words (tiers.py).
        self._tiers: dict[Operation, Tier] = {}
        auth = Credentials.of(config).auth
        # Connecting has a short limit: nothing was sent, so giving up is safe. The pool has none: Connections does the waiting.
        timeout = httpx.Timeout(config.timeout, connect=min(10.0, config.timeout), pool=None)
        self._timeout = timeout
        self._bulk_timeout = httpx.Timeout(max(_SLOW_SECONDS, config.timeout), connect=timeout.connect, pool=None)
        # One client per connection: a pool of eight costs httpcore twice the time of eight pools of one, because every call
        # checks every idle socket (docs/performance.md).
        self._connections = Connections(
            [
                httpx.AsyncClient(
                    base_url=url.rstrip("/"),
                    auth=auth,
                    limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    verify=_trust(),
                    transport=transport,
                )
                for _ in range(config.connections)
            ]
        )

    async def call(
        self,
        lane: Lane,
        operation: Operation,
        method: str,
        path: str,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Make one call and return its response, which is a success.

        Args:
            lane: the lane that pays.
            operation: the call's name in metrics and errors, and its tier.
            method: the HTTP method.
            path: the path below the account's endpoint, with quoted values.
            body: JSON.
            query: parameters.

        Raises:
            DotdigitalError: the response is no success, or there is none.
        """
        tier = self._tiers.get(operation, operation.tier)
        await self._budget.acquire(tier, lane)
        rate, throttled = None, False
        try:
            response = await self._send(lane, operation, tier, method, path, body, query)
            error = None if response.is_success else error_from_response(operation, response)
            # A limit of jobs is no concern of the budget of calls.
            throttled = isinstance(error, ThrottledError) and error.scope in (Limit.RATE, Limit.FLAT)
            scope = self._tiers[operation] = Tier.of_scope(response.headers.get(SCOPE)) or tier
            # The budget counted the call against ``tier``; the state of another tier would correct the wrong count.
            rate = rate_limit(response.headers) if scope is tier else None
        finally:
            # Also without a response, and when the task is cancelled: an acquired call must be settled exactly once.
            self._budget.record_response(tier, rate, throttled)
        if error is not None:
            raise error
        return response

    def move(self, url: str) -> None:
        """Send all further calls to another host."""
        self._connections.move(url.rstrip("/"))

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def _send(
        self,
        lane: Lane,
        operation: Operation,
        tier: Tier,
        method: str,
        path: str,
        body: bytes | None,
        query: Mapping[str, str] | None,
    ) -> httpx.Response:
        client = await self._connections.take(lane)
        started = time.perf_counter()
        status = "no-answer"
        timeout = self._bulk_timeout if operation.tier is Tier.LOW else self._timeout
        try:
            response = await client.request(method, path, content=body, params=query, timeout=timeout)
            status = str(response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(operation, "no-connection") from error
        # Everything below may have been sent, so its outcome is unknown. ConnectTimeout is a TimeoutException: order matters.
        except httpx.TimeoutException as error:
            raise ConnectivityError(operation, "timeout") from error
        except httpx.HTTPError as error:
            raise ConnectivityError(operation, "no-answer") from error
        finally:
            self._connections.give(client)
            self._observe(Call(operation, tier, status, time.perf_counter() - started))
        return response


@cache
def _trust() -> ssl.SSLContext:
    """One TLS context for all connections: reading the certificates takes a tenth of a second."""
    return httpx.create_ssl_context()


class ApiGroup:
    """Calls on behalf of one lane; the base of every part of the API."""

    def __init__(self, transport: Transport, lane: Lane = Lane.LIVE) -> None:
        self._transport = transport
        self._lane = lane

    async def _call(
        self,
        operation: Operation,
        method: str,
        path: str,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        return await self._transport.call(self._lane, operation, method, path, body, query)
