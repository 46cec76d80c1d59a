"""A crowd of contacts, enough of them that an import is cheaper than single calls."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

from streams.core.lanes import Lane
from streams.kafka.producer import KeyValue
from tests.dispatch.dispatch_harness import CONTACT, CONTACTS, Call, Site

MANY = 60
BUDGET = {"budget_low": 35, "budget_medium": 100, "budget_high": 300}
"""With a budget in sight an import is cheaper than single calls."""
READING = BUDGET | {"readback_seconds": 300, "import_patience": 120}
PEOPLE = [f"p{number:03}@example.com" for number in range(MANY)]


def ask(site: Site, name: str = "P", people: Iterable[str] = PEOPLE, opted: bool | None = None) -> None:
    """Everybody should have that name, without hurry."""
    for email in people:
        site.want(email, name, opted=opted, lane=Lane.BULK)


def names(site: Site) -> Counter[str | None]:
    """How many people have which name."""
    held = [site.held(email) for email in PEOPLE]
    return Counter(None if contact is None else str(contact.data["FIRSTNAME"]) for contact in held)


def rows(call: Call) -> list[dict[str, Any]]:
    """The rows of an import of contacts."""
    found: list[dict[str, Any]] = call.content["contacts"]
    return found


def singles(site: Site) -> list[Call]:
    """Calls that wrote one contact."""
    return [*site.calls("POST", CONTACTS), *site.calls("PATCH", CONTACT)]


async def delivered(site: Site) -> None:
    """Everybody is there, by whatever road."""
    ask(site)
    await site.quiet()
    site.forget_calls()


def under_way(site: Site) -> bool:
    """Whether Dotdigital has accepted an import that is not over."""
    return any(not running.unanswered for running in site.dispatch.imports_in_flight)


def lag(site: Site, seconds: float, outcomes: Iterable[str] = ()) -> None:
    """Answers are read so much later, in order; only those of ``outcomes``, if any are named."""
    append, loop = site.broker.append, asyncio.get_running_loop()
    words = [f'"{outcome}"'.encode() for outcome in outcomes] or [b""]

    def late(topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        published = list(entries)
        if topic != site.topics.deliveries or not any(word in (value or b"") for _, value in published for word in words):
            return append(topic, partition, published)
        loop.call_later(seconds, append, topic, partition, published)
        return 0

    site.broker.append = late  # type: ignore[method-assign]
