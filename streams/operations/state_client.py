"""Asks all workers that ``OWDD_WORKERS`` names, and puts their replies together: each row comes from whoever owns it.

Nobody is guessed to have nothing: a partition that no worker answers for is an error that names it, and the workers that are
silent.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec

from streams.core.errors import ConfigurationError, OwddError
from streams.operations import state_queries
from streams.operations.state_page import MEDIA_TYPE, PATH
from streams.operations.state_queries import Query, Reply, Request, Response
from streams.operations.worker_ports import worker_addresses
from streams.settings import Settings

R = TypeVar("R")

_TIMEOUT = httpx.Timeout(10.0, connect=1.0)
_STAGE_OF = {
    state_queries.ContactReply: "contacts",
    state_queries.DeliveryReply: "outbox",
    state_queries.BuyerReply: "buyers",
    state_queries.OrderReply: "orders",
}


class StateUnavailableError(OwddError):
    """No worker answers for a partition of the state: it is moving, recovering, or its worker is down."""


@dataclass(frozen=True, slots=True)
class Replies:
    """What all workers answered to one request; ``silent`` are the addresses of those that did not, with the reason."""

    responses: list[Response]
    silent: dict[str, str]
    partitions: int

    def one(self, index: int, kind: type[R]) -> R:
        """The reply to the query at ``index``, of whichever worker has it.

        Raises:
            StateUnavailableError: none has.
        """
        found = next((response.replies[index] for response in self.responses if response.replies[index] is not None), None)
        if isinstance(found, kind):
            return found
        raise StateUnavailableError(f"no worker has the partition of the table {_STAGE_OF[kind]} open{self.reasons}")  # type: ignore[index]

    def every(self, index: int, kind: type[R]) -> list[R]:
        """The replies of all workers to the query at ``index``."""
        found = [response.replies[index] for response in self.responses]
        return [reply for reply in found if isinstance(reply, kind)]

    def missing(self, tables: Sequence[str]) -> list[str]:
        """Of which tables partitions are open nowhere, as text."""
        owned = {table: {place for response in self.responses for place in response.owned.get(table, ())} for table in tables}
        return [
            f"{table}: {self.partitions - len(places)} of {self.partitions} partitions"
            for table, places in owned.items()
            if len(places) < self.partitions
        ]

    @property
    def reasons(self) -> str:
        """Behind an error that names what no worker has open: which of them are silent, and why."""
        reasons = "; ".join(f"{address}: {reason}" for address, reason in self.silent.items())
        return f" ({reasons})" if reasons else ": it moves, or is recovered; try again in a moment"


class StateClient:
    """One client for all workers; to be used as an asynchronous context manager."""

    def __init__(self, settings: Settings, by: str) -> None:
        """``by``: keyed hash of who asks, for the workers' access log.

        Raises:
            ConfigurationError: no workers or no token are named.
        """
        if not settings.workers:
            raise ConfigurationError("no workers are named", where="OWDD_WORKERS", remedy="Name their ports, host:port")
        if not (token := settings.state_token.get_secret_value()):
            raise ConfigurationError(
                "no token is set",
                where="OWDD_STATE_TOKEN",
                remedy="Set the one that the workers have",
            )
        self._settings = settings
        self._by = by
        headers = {"authorization": f"Bearer {token}", "content-type": MEDIA_TYPE}
        self._client = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, queries: Sequence[Query], about: str, by: str | None = None) -> Replies:
        """Ask every worker; ``about``: keyed hash of the person whom it is about, empty for none.

        Raises:
            StateUnavailableError: no worker answers.
        """
        body = state_queries.write(Request(list(queries), by or self._by, about))
        addresses = await worker_addresses(self._settings)
        found = await asyncio.gather(*(self._ask(address, body) for address in addresses))
        responses = [response for response in found if isinstance(response, Response)]
        silent = {address: str(reason) for address, reason in zip(addresses, found, strict=True) if isinstance(reason, str)}
        replies = Replies(responses, silent, self._settings.partitions)
        if not responses:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in silent.items())
            raise StateUnavailableError(f"no worker answers ({reasons})", where="OWDD_WORKERS")
        return replies

    async def _ask(self, address: str, body: bytes) -> Response | str:
        try:
            response = await self._client.post(f"{address}{PATH}", content=body)
        except httpx.HTTPError as error:
            return type(error).__name__
        if response.status_code == httpx.codes.NOT_FOUND:
            return "OWDD_STATE_TOKEN is not set there"
        if not response.is_success:
            return response.text[:100]
        try:
            return state_queries.read_response(response.content)
        except msgspec.MsgspecError:
            return "it runs another release"


__all__ = ["Replies", "Reply", "StateClient", "StateUnavailableError"]
