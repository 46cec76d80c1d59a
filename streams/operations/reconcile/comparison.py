"""One run: read what it is about, look at the suspects, and put right what differs, if that was asked for.

Every step is kept in the run's file (``findings.py``), so a worker that takes it up again goes on where it was.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase

from msgspec.structs import replace

from streams.core.clock import Clock
from streams.dispatch.outbox.tasks import Family, owner_of, part_of, task_of
from streams.dotdigital.errors import MissingError
from streams.messages.changes import partition_of
from streams.messages.dead_letters import keyed_hash
from streams.messages.reconciliations import DriftExample, ReconcileRun
from streams.operations.reconcile.checks import Checks
from streams.operations.reconcile.delivered import Delivered
from streams.operations.reconcile.drift import Difference, Drift, Moment, Others
from streams.operations.reconcile.findings import Findings
from streams.operations.reconcile.healing import Healing
from streams.operations.reconcile.pages import AccountPages

MOST_CHECKED = 20_000
"""Suspects of one run that are looked at, by a call each: more are a case for a person, and the next run."""
_CHUNK = 25
_TRIES = 5
_AGAIN_SECONDS = 20.0
"""Until suspects that were on their way are looked at again: longer than the live lane's longest wait."""
_EXAMPLES = 10
_NOTE_MS = 3_000
"""Between two notes of how far a run is: counting takes time, too."""
_FROZEN_MS = 7 * 86_400_000

SaveRun = Callable[[ReconcileRun], Awaitable[None]]
"""Writes down how far a run is; raises :class:`CancelledRunError` to end it."""


class CancelledRunError(Exception):
    """The run must end: a person wants it to, or the work is another worker's now."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with. ``hash_key``: of the hashes that stand for people in the report."""

    pages: AccountPages
    checks: Checks
    healing: Healing
    delivered: Delivered
    findings: Findings
    clock: Clock
    hash_key: bytes
    complete_until: Callable[[], int | None]


class Comparison:
    """Works on ``run``, and lets ``save`` know how far it is."""

    def __init__(self, run: ReconcileRun, tools: Tools, save: SaveRun, rng: Random) -> None:
        self.run = run
        self._tools = tools
        self._save = save
        self._rng = rng
        self._noted = 0

    async def work(self) -> ReconcileRun:
        """Work until the end; what was found.

        Raises:
            DotdigitalError: a call failed; it may be repeated.
            StateUnavailableError: rows cannot be read now; it may be repeated.
            CancelledRunError: as :data:`SaveRun`.
            aiokafka.errors.KafkaError: the broker did not acknowledge; the worker must end.
        """
        for phase, steps in self._phases():
            await self._note(phase)
            async for _ in steps:
                await self._note(phase)
                # Steps over our own rows wait for nothing, and deliveries must go on between them.
                await asyncio.sleep(0)
        await self._find_frozen()
        await self._note("done")
        return self.run

    def _phases(self) -> Iterator[tuple[str, AsyncIterator[None]]]:
        pages = self._tools.pages
        if self.run.scope == "full":
            yield "contacts", pages.contacts(self._moment())
            yield "orders", pages.orders()
            yield "catalogue", pages.items()
            yield "what was delivered", pages.ours(self._moment())
        else:
            yield "contacts", self._chosen()
        yield "differences", self._check()

    def _moment(self) -> Moment:
        return Moment(self._tools.clock.now_ms() // 1000, self._tools.complete_until())

    async def _note(self, phase: str) -> None:
        now = self._tools.clock.now_ms()
        if phase == self.run.phase and now < self._noted + _NOTE_MS:
            return
        self._noted, findings = now, self._tools.findings
        found = [DriftExample(drift, *self._names(task), detail) for drift, task, detail in findings.examples(_EXAMPLES)]
        counts = findings.counts()
        counts["unchecked"] = max(0, counts["suspects"] - MOST_CHECKED)
        self.run = replace(
            self.run, phase=phase, drift=findings.drift(), others=dict(findings.others()), examples=found, **counts
        )
        await self._save(self.run)

    def _names(self, task: str) -> tuple[str, str]:
        owner, part = owner_of(task), part_of(task)
        return ("", owner) if task[0] == Family.CATALOGUE else (keyed_hash(owner.encode(), self._tools.hash_key), part)

    async def _chosen(self) -> AsyncIterator[None]:
        """Everything of the one contact, or of some, is a suspect."""
        if self._tools.findings.progress("chosen") is not None:
            return
        for number, email in enumerate(await self._emails(), 1):
            ours = {task_of(Family.CONTACT, email)}
            place = partition_of(email, self._tools.pages.partitions)
            for family in (Family.RECORD, Family.FOLLOW_UP):
                async for rows in self._tools.delivered.slices(place, task_of(family, email, "")):
                    ours |= rows.keys()
            there = {task_of(Family.RECORD, email, key) async for key in self._orders_there(email)}
            with self._tools.findings.step(f"chosen {number}", ""):
                self._tools.findings.add_suspects(ours)
                self._tools.findings.add_contacts([(number, email)])
                self._tools.findings.count_others([Others.ORDERS] * len(there - ours))
            yield
        with self._tools.findings.step("chosen", ""):
            pass

    async def _emails(self) -> list[str]:
        if self.run.scope == "contact":
            email = await self._tools.delivered.address(self.run.contact)
            return [] if email is None else [email]
        return await self._sampled(self.run.sample)

    async def _sampled(self, wanted: int) -> list[str]:
        """So many contacts of ours, or all: of each partition some neighbours in the alphabet, from a random letter on."""
        partitions = self._tools.pages.partitions
        share, emails = -(-wanted // partitions), list[str]()
        for partition in range(partitions):
            start = task_of(Family.CONTACT, self._rng.choice(ascii_lowercase))
            some: dict[str, None] = {}
            for after in (start, ""):
                async for rows in self._tools.delivered.slices(partition, Family.CONTACT, after):
                    some |= dict.fromkeys(map(owner_of, rows))
                    if len(some) >= share:
                        break
                if len(some) >= share:
                    break
            emails += list(some)[:share]
        self._rng.shuffle(emails)
        return emails[:wanted]

    async def _orders_there(self, email: str) -> AsyncIterator[str]:
        collection = self._tools.pages.places.orders
        if collection is None:
            return
        try:
            async for page in self._tools.pages.api.records(collection, "contact", email=email):
                for record in page.records:
                    yield record.key
        except MissingError:
            return

    async def _check(self) -> AsyncIterator[None]:
        findings = self._tools.findings
        done = findings.counts()["checked"]
        for attempt in range(1, _TRIES + 1):
            if attempt > 1 and findings.suspects(1, tries=attempt):
                await asyncio.sleep(_AGAIN_SECONDS)
            while suspects := findings.suspects(_CHUNK, tries=attempt):
                if done >= MOST_CHECKED:
                    return
                done += await self._check_some(suspects)
                yield

    async def _check_some(self, suspects: list[str]) -> int:
        """How many of them are done with."""
        tools = self._tools
        checked = await tools.checks.check(suspects, self._moment())
        if self.run.execute:
            # Before it is written down: asking twice does no harm.
            await tools.healing.heal(checked)
        with tools.findings.step("checked", ""):
            tools.findings.add_differences((one for found in checked for one in found.differences), healed=self.run.execute)
            sure = [one.task for one in checked if one.sure]
            tools.findings.judged(sure)
            tools.findings.tried(one.task for one in checked if not one.sure)
        return len(sure)

    async def _find_frozen(self) -> None:
        if self.run.scope != "full":
            return
        since = self._tools.clock.now_ms() - _FROZEN_MS
        rows = [row for row in await self._tools.delivered.held() if row.reason.frozen and row.reason.since < since]
        # Its key may hold an address, and is shown as a hash.
        found = [Difference(f"h{row.table}:{row.key}", Drift.FROZEN_LONG, "none", (row.reason.code,)) for row in rows]
        with self._tools.findings.step("frozen", ""):
            self._tools.findings.add_differences(found, healed=False)
