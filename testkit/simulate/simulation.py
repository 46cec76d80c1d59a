"""One simulated shop from its opening to its last commit, as the records that Debezium would send."""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from testkit.simulate import faults
from testkit.simulate.actions import Action, deal
from testkit.simulate.anomalies import Anomalies
from testkit.simulate.calendar import LIVE_SPAN
from testkit.simulate.catalogue import Catalogue
from testkit.simulate.config import SimulationConfig
from testkit.simulate.customer_life import CustomerLife
from testkit.simulate.database import Database
from testkit.simulate.envelopes import Change, Event, heartbeat, schema_change, sent, transaction_mark
from testkit.simulate.opening import open_shop
from testkit.simulate.order_edits import OrderEdits
from testkit.simulate.order_life import OrderLife
from testkit.simulate.product_life import ProductLife
from testkit.simulate.returns import Returns
from testkit.simulate.shop import Shop
from testkit.simulate.truth import Truth, truth_of, write_truth

_NEW_ORDERS = 0.25
_NEW_CUSTOMERS = 0.04
_SNAPSHOT_CHUNK = 500
_HEARTBEAT_EVERY = 1_000
_OVERLAP = 10
"""Commits that the snapshot has seen already and the log brings once more: CDC is read later than the tables."""
_RETRIES = 50


class Simulation:
    """A seeded shop. ``events`` runs it once; ``truth`` says at any time what its database holds.

    ``actions`` is everything that can happen besides new orders and customers; ``phenomena`` counts what did.
    The database is ahead of the records while faults hold some back; after the last record they agree.
    """

    def __init__(self, config: SimulationConfig, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """``clock_ns`` gives the time of sending, which is all that differs between two runs of one configuration."""
        self.config = config
        self._clock_ns = clock_ns
        self._db = Database(config.mapping, transactions=config.meta)
        self._shop = Shop(config, self._db)
        self._catalogue = Catalogue(self._shop)
        self._life = OrderLife(self._shop, self._catalogue)
        self._customers = CustomerLife(self._shop)
        self._returns = Returns(self._shop, self._life)
        self._mishaps = Anomalies(self._shop)
        self.actions: list[Action] = [
            *self._life.actions(),
            *OrderEdits(self._shop, self._life).actions(),
            *self._mishaps.actions(),
            *self._customers.actions(),
            *ProductLife(self._shop, self._catalogue).actions(),
            *self._returns.actions(),
        ]
        self._plan: list[Action] = []
        self._faults = random.Random(f"faults {config.seed}")
        self._stopped = False
        self.commit = 0
        """The highest commit of which ``events`` has given a record; 0 during the snapshot."""
        self._transactions: dict[int, Counter[str]] = {}

    @property
    def phenomena(self) -> Counter[str]:
        """Counts of the changes so far, by name."""
        return self._shop.seen

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has now, under its usual name."""
        return {table: len(self._db.keys(table)) for table in self._db.tables}

    def stop(self) -> None:
        """Make no new commits; ``events`` still completes the snapshot and hands out everything that is under way."""
        self._stopped = True

    def truth(self) -> Truth:
        """Every row as it is now."""
        return truth_of(self._db, self.config.mapping, self.config.seed)

    def write_truth(self, path: Path) -> None:
        """Write the truth file. Raises OSError."""
        write_truth(self._db, self.config.mapping, self.config.seed, path)

    def events(self) -> Iterator[Event]:
        """Every record in the order of sending, faults included. The shop is opened at the first one."""
        count, last = 0, 0
        for batch in self._batches():
            for change in batch:
                now = self._clock_ns()
                if count % _HEARTBEAT_EVERY == 0:
                    yield heartbeat(self.config.mapping, now)
                if self.config.meta and count == 0:
                    yield from self._schema_changes(now)
                if change.commit in self._transactions and change.commit > last:
                    yield from self._end(last, now)
                    last = change.commit
                    yield transaction_mark(self.config.mapping, last, None, now)
                self.commit = max(self.commit, change.commit)
                yield sent(change, now)
                count += 1
        yield from self._end(last, self._clock_ns())

    def opening(self) -> Iterator[list[Change]]:
        """Instead of ``events``, with ``live`` after it: the rows that the shop opens with, as a snapshot reads them."""
        self._plan = self._open()
        yield from self._snapshot()

    def live(self) -> Iterator[list[Change]]:
        """After ``opening``: the changes of one transaction after the other, without faults."""
        yield from self._deal(self._plan, self.config.commits)
        yield from self._flush()

    def _end(self, commit: int, now_ns: int) -> Iterator[Event]:
        """The end of a transaction, which Debezium only sends when the next one begins."""
        if counts := self._transactions.pop(commit, None):
            yield transaction_mark(self.config.mapping, commit, counts, now_ns)

    def _batches(self) -> Iterator[list[Change]]:
        config, seen = self.config, self._shop.seen
        batches: Iterator[list[Change]] = self._commits()
        if config.duplicates:
            batches = faults.duplicated(batches, config.duplicates, self._faults, seen)
        if config.replays:
            commits = range(1, max(2, config.commits))
            crashes = sorted(self._faults.choices(commits, k=config.replays))
            batches = faults.replayed(batches, crashes, self._faults, seen)
        if config.shuffle:
            batches = faults.shuffled(batches, self._faults, seen)
        return batches

    def _commits(self) -> Iterator[list[Change]]:
        deck, live = self._open(), self.config.commits
        overlap = list(self._deal(deck[:_OVERLAP], live))
        yield from self._snapshot()
        yield from overlap
        yield from self._deal(deck[_OVERLAP:], live)
        yield from self._flush()

    def _open(self) -> list[Action]:
        """Give the shop its history; returns what will happen to it."""
        config, live = self.config, self.config.commits
        new_orders = min(config.orders // 2, round(live * _NEW_ORDERS))
        new_customers = min((config.customers - 1) // 4, round(live * _NEW_CUSTOMERS))
        opening = (config.customers - new_customers, config.orders - new_orders)
        open_shop(self._shop, self._catalogue, self._life, self._mishaps, *opening)
        self._returns.leave_open(2 + opening[1] // 100)
        return self._deck(live, new_orders, new_customers)

    def _snapshot(self) -> Iterator[list[Change]]:
        chunk: list[Change] = []
        for change in self._db.snapshot(int(self._shop.now.timestamp() * 1000)):
            chunk.append(change)
            if len(chunk) == _SNAPSHOT_CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _deck(self, live: int, new_orders: int, new_customers: int) -> list[Action]:
        """What will happen, in order; how many orders and customers are new is exact."""
        deck = [Action("order_placed", 0, self._life.place)] * new_orders
        deck += [Action("customer_opened", 0, self._customers.open_account)] * new_customers
        deck += deal(self.actions, live - len(deck), self._shop.rng)
        self._shop.rng.shuffle(deck)
        return deck

    def _deal(self, deck: list[Action], live: int) -> Iterator[list[Change]]:
        """One commit for each action; what is not possible now is tried again before later ones."""
        shop, step = self._shop, LIVE_SPAN / (live + 1)
        postponed: deque[Action] = deque()
        for action in deck:
            if self._stopped:
                return
            shop.tick(step * (0.5 + shop.rng.random()))
            for chosen in (postponed.popleft(), action) if postponed else (action,):
                if batch := self._attempt(chosen):
                    yield batch
                elif len(postponed) < _RETRIES:
                    postponed.append(chosen)
            yield from self._due()
        for action in postponed:
            if not self._stopped and (batch := self._attempt(action)):
                yield batch

    def _attempt(self, action: Action) -> list[Change]:
        done, batch = self._transact(action.run, descending=action.descending)
        if done:
            self._shop.seen[action.name] += 1
        return batch

    def _transact(self, run: Callable[[], bool], *, descending: bool = False) -> tuple[bool, list[Change]]:
        db = self._db
        db.begin(int(self._shop.now.timestamp() * 1000), descending=descending)
        done = run()
        batch = db.commit()
        if batch and self.config.meta:
            collections = {envelope.topic: envelope.collection for envelope in db.envelopes.values()}
            self._transactions[batch[0].commit] = Counter(
                collections[change.topic] for change in batch if change.head is not None
            )
        return done, batch

    def _due(self) -> Iterator[list[Change]]:
        """Follow-ups whose time has come."""
        waiting = [(commits - 1, run) for commits, run in self._shop.follow_ups]
        self._shop.follow_ups = [item for item in waiting if item[0] > 0]
        for commits, run in waiting:
            if commits <= 0 and (batch := self._transact(run)[1]):
                yield batch

    def _flush(self) -> Iterator[list[Change]]:
        while self._shop.follow_ups:
            waiting, self._shop.follow_ups = self._shop.follow_ups, []
            for _, run in waiting:
                if batch := self._transact(run)[1]:
                    yield batch

    def _schema_changes(self, now_ns: int) -> Iterator[Event]:
        for table, names in self._db.names.items():
            rows = self._db.encoded(table)
            columns = list(orjson.loads(next(iter(rows.values())))) if rows else [names.key]
            yield schema_change(self.config.mapping, names, columns, now_ns)
