"""Whatever the seed: wishes of all kinds, faults, restarts and deletions by hand end in an account that holds what is wanted."""

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from streams.core.lanes import Lane
from streams.mapping.delivery import RefundEvent
from tests.dispatch.dispatch_harness import DAY, Site, contact_task, on_site

PEOPLE = [f"p{number:02}@example.com" for number in range(25)]
FAULTS = {
    "lost_reply": 0.04,
    "http_503": 0.04,
    "http_429": 0.02,
    "bad_gateway_html": 0.02,
    "casing": 0.05,
    "import_failed": 0.1,
    "import_partial": 0.2,
    "report_partial": 0.2,
}
SETTINGS = {
    "budget_low": 35,
    "budget_medium": 100,
    "budget_high": 300,
    "readback_seconds": 60,
    "import_least": 5,
    "import_patience": 120,
}
FOLLOW_UP = {"follow_up": RefundEvent(kind="event", since=datetime(2026, 1, 1, tzinfo=UTC))}


class Shop:
    """What is wanted by now, and the random hand that changes it."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.rng = Random(seed)
        self.names: dict[str, str | None] = {}
        self.bought: set[str] = set()
        self.records: dict[str, tuple[str, str | None]] = {}
        self.credits: list[str] = []
        self.erased: set[str] = set()
        self.by_hand: set[str] = set()
        self._answered = 0

    def step(self) -> None:
        """One change, or an act of somebody in Dotdigital."""
        acts = {
            self.person: 10,
            self.order: 10,
            self.credit: 2,
            self.rush: 1,
            self.deleted: 1,
            self.erase: 0.5,
            self.outage: 0.5,
        }
        self.rng.choices(list(acts), list(acts.values()))[0](self.rng.choice(PEOPLE))

    def person(self, email: str, lane: Lane | None = None) -> None:
        self.names[email] = name = None if self.rng.random() < 0.1 else f"N{self.rng.randrange(1000)}"
        despatched = self.site.now if self.rng.random() < 0.3 else None
        (self.bought.add if name and despatched else self.bought.discard)(email)
        self.site.want(email, name, despatched=despatched, lane=self.rng.choice(list(Lane)) if lane is None else lane)

    def order(self, email: str) -> None:
        key = f"A{self.rng.randrange(40)}"
        holder = self.records.get(key, (email, None))[0]
        text = None if self.rng.random() < 0.2 else f"S{self.rng.randrange(1000)}"
        if holder != email:
            self.site.move_record(key, holder)
        self.records[key] = email, text
        self.site.record(key, text, email, self.rng.choice(list(Lane)))

    def credit(self, email: str) -> None:
        # None is from before we created its contact: such a one would have no follow-up.
        self.site.credit(len(self.credits), email, at=self.site.now + DAY)
        self.credits.append(email)

    def rush(self, _email: str) -> None:
        """A snapshot: everybody at once."""
        for email in PEOPLE:
            self.person(email, Lane.BULK)

    def deleted(self, email: str) -> None:
        """By hand, in Dotdigital."""
        if (contact := self.site.held(email)) is not None:
            self.by_hand.add(email)
            self.site.box.store.bin(contact)
            self.site.box.store.purge()

    def outage(self, _email: str) -> None:
        """For half a minute nothing answers."""
        self.site.line.cut = True
        asyncio.get_running_loop().call_later(30, setattr, self.site.line, "cut", False)

    def erase(self, email: str) -> None:
        self.erased.add(email)
        self.site.erase(email)

    async def settle(self) -> None:
        """Tell again what is asked for, until nothing is; a person has created again what was deleted by hand."""
        for email, name in self.names.items():
            self.names[email] = name and f"{name}!"
            self.site.want(email, self.names[email], despatched=self.site.now if email in self.bought else None)
        await self.site.quiet()
        for email in self.by_hand:
            self.site.unpark(contact_task(email), email)
        await self.site.quiet()
        while asked := self.site.asked_again(self.site.topics.orders)[self._answered :]:
            self._answered += len(asked)
            for number in asked:
                email, text = self.records[f"A{number}"]
                self.site.record(f"A{number}", text, email)
            await self.site.quiet()

    def check(self) -> None:
        site, there = self.site, {email for email, name in self.names.items() if name is not None} - self.erased
        held = {email: site.held(email) for email in PEOPLE}
        assert {email for email, contact in held.items() if contact is not None} == there
        assert {email: site.contact(email).data["FIRSTNAME"] for email in there} == {
            email: self.names[email] for email in there
        }
        assert {email for email in there if site.listed(email)} == self.bought & there
        wanted = {key: text for key, (email, text) in self.records.items() if text is not None and email in there}
        assert site.records() == wanted
        published = {event["id"] for event in site.box.store.events}
        # Dotdigital takes an event of nobody, and drops it.
        sure = there - self.by_hand
        assert published >= {f"C{number}" for number, email in enumerate(self.credits) if email in sure}
        assert site.open_parked() == {}


@pytest.mark.parametrize("seed", range(8))
@on_site(settings=SETTINGS, delivery=FOLLOW_UP)
async def test_the_account_ends_as_it_is_wanted(site: Site, seed: int) -> None:
    shop = Shop(site, seed)
    site.box.faults.update(FAULTS | {"seed": seed})
    for _ in range(60):
        shop.step()
        await site.pass_(shop.rng.expovariate(0.5))
        if shop.rng.random() < 0.05:
            await site.restart()
    site.box.faults.reset()
    await shop.settle()
    await site.pass_(60)
    await shop.settle()
    shop.check()
