"""Rows that a test writes itself, in front of a running stack, and what the oracle makes of them."""

from datetime import UTC, datetime
from random import Random

from streams.mapping import load_mapping
from testkit.demo.stack import LocalStack
from testkit.oracle import Difference, compare, expectation
from testkit.oracle.moves import all_moved_here
from testkit.oracle.sandbox import read_account
from testkit.simulate import row_builders
from testkit.simulate.database import Database
from testkit.simulate.envelopes import Change, sent
from testkit.simulate.tables import CONTACT, CUSTOMER, Value
from testkit.simulate.truth import truth_of
from tests.convergence.convergence_harness import append

OPENED = 1_760_000_000_000
_DATE = "2025-10-01T10:00:00Z"


class WrittenRows:
    """A database of which the stack captures every change."""

    def __init__(self, running: LocalStack) -> None:
        self.running = running
        self.mapping = load_mapping(running.mapping)
        self.db = Database(self.mapping)
        self._commits = 0

    async def open(self) -> None:
        """The rows that are there already, as a snapshot reads them."""
        await self._send(list(self.db.snapshot(OPENED)))

    async def update(self, table: str, key: int, **values: Value) -> None:
        """One transaction, a minute after the last one."""
        self._commits += 1
        self.db.begin(OPENED + 60_000 * self._commits)
        self.db.update(table, key, **values)
        await self._send(self.db.commit())

    def person(self, key: int, email: str, *, opt_in: bool | None = None) -> None:
        """An account of its own for one person, both with this key."""
        rng = Random(key)
        self.db.insert(
            CUSTOMER,
            row_builders.customer(
                rng, key, name=f"Firm {key}", account=f"ACC{key}", trade=True, statement=None, invoice=None, at=_DATE
            ),
        )
        names = {"first": f"First{key}", "last": "Lee", "full": None}
        self.db.insert(CONTACT, row_builders.contact(rng, key, customer=key, email=email, opt_in=opt_in, at=_DATE, **names))

    def differences(self) -> list[Difference]:
        """What the oracle finds, once the stack has settled."""
        truth = truth_of(self.db, self.mapping, 0)
        expected = expectation(truth.tables, self.mapping, at=datetime.now(UTC), history=truth.history)
        return compare(
            expected,
            read_account(self.running.settings.dotdigital_url),
            self.mapping,
            opted_in_ever=truth.opted_in_ever,
            preexisting=(),
            moved_here=all_moved_here(truth.tables, truth.history, self.mapping),
        )

    async def _send(self, changes: list[Change]) -> None:
        await append(self.running, [sent(change, change.commit) for change in changes])
