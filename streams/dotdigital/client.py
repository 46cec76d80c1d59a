"""The client: all calls to one account, for any lane. HTTP/1.1 with keep-alive, few connections, explicit timeouts.

Sources: Dotdigital's contacts service 3.4, insight data 3.3, events 3.1, and v2 where v3 has no such call.
"""

from types import TracebackType
from typing import Self

import httpx

from streams.core.lanes import Lane
from streams.dotdigital.account import AccountCalls
from streams.dotdigital.config import ClientConfig
from streams.dotdigital.contact_calls import SUBSCRIBED, UNSUBSCRIBED, Contact, ContactCalls, Status, Upserted
from streams.dotdigital.contact_pages import ReadingCalls
from streams.dotdigital.events import EventCalls
from streams.dotdigital.imports import ImportCalls
from streams.dotdigital.insight import InsightCalls
from streams.dotdigital.lists import ListCalls
from streams.dotdigital.programs import ProgramCalls
from streams.dotdigital.region import AUTO, GLOBAL_URL, discover
from streams.dotdigital.suppression import SuppressionCalls
from streams.dotdigital.tiers import Budget, Call, Unbounded
from streams.dotdigital.transport import Observer, Transport

__all__ = [
    "SUBSCRIBED",
    "UNSUBSCRIBED",
    "Api",
    "Call",
    "ClientConfig",
    "Contact",
    "DotdigitalClient",
    "Status",
    "Upserted",
    "unobserved",
]


class Api(
    ContactCalls,
    ImportCalls,
    ReadingCalls,
    InsightCalls,
    ListCalls,
    ProgramCalls,
    EventCalls,
    SuppressionCalls,
    AccountCalls,
):
    """Every call to the account, on behalf of one lane."""


class DotdigitalClient(Api):
    """One account's API. Calls on the client itself belong to the live lane; ``for_lane`` gives the API of another lane.

    Use it as a context manager, or call ``open`` before the first call and ``close`` after the last.

    Args:
        config: endpoint (or ``auto``: the account is asked for it), credentials, connections and timeout.
        observe: called after every call.
        transport: replaces the network in tests.
        budget: awaited before every call; without one, calls are not limited.
    """

    def __init__(
        self,
        config: ClientConfig,
        observe: Observer,
        transport: httpx.AsyncBaseTransport | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._undiscovered = config.url == AUTO
        url = GLOBAL_URL if self._undiscovered else config.url
        super().__init__(Transport(config, observe, budget or Unbounded(), url, transport))

    def for_lane(self, lane: Lane) -> Api:
        """The API of another lane, over the same connections and the same budget."""
        return Api(self._transport, lane)

    async def open(self) -> None:
        """Ask the account for its endpoint, unless the endpoint is configured or known already.

        Raises:
            DotdigitalError: the call failed, or the account names no usable endpoint.
        """
        if self._undiscovered:
            self._transport.move(await discover(self))
            self._undiscovered = False

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def unobserved(_call: Call) -> None:
    """An observer that ignores every call: for tools without metrics."""
