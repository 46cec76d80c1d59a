"""Asks all questions of the audit, and works out what the bridge would make of the shop."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.dispatch.outbox.tasks import Work
from streams.mapping import Mapping
from streams.operations.delivery_effort import effort
from streams.operations.systems_audit.defects import RULES, Rule
from streams.operations.systems_audit.gather import TableFacts
from streams.settings import Settings

_LARGEST = 10
_SHOWN_WORDS = 15


@dataclass(frozen=True, slots=True)
class Offender:
    """One row with a defect; ``name`` is personal data or a word of the ERP."""

    code: str
    role: str
    id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Defect:
    """A kind of defect, with the number of rows that have it."""

    rule: Rule
    count: int
    words: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What a first load would bring to Dotdigital, and how long it takes at least."""

    contacts: int
    excluded: int
    records: int
    catalogue: int
    single_calls: int
    imports: int
    seconds: float


@dataclass
class AuditReport:
    """Everything that the audit found; charts are pairs of a name and a number."""

    tables: list[TableFacts]
    defects: list[Defect]
    effect: Effect
    counts: dict[str, int] = field(default_factory=dict)
    consents: list[tuple[str, int]] = field(default_factory=list)
    orders_by_month: list[tuple[str, int]] = field(default_factory=list)
    orders_by_hour: list[tuple[str, int]] = field(default_factory=list)
    statuses: list[tuple[str, int]] = field(default_factory=list)
    largest: list[tuple[str, int]] = field(default_factory=list)


_WITH_WORDS = frozenset({"unknown_type", "unknown_status", "unknown_currency", "unknown_consent"})


class Audit:
    """Asks one database."""

    def __init__(self, settings: Settings, mapping: Mapping, database: sqlite3.Connection) -> None:
        self._settings = settings
        self._mapping = mapping
        self._database = database

    def offenders(self) -> Iterator[Offender]:
        """Every row with a defect, defect by defect."""
        for rule in RULES:
            for role, number, name in self._database.execute(rule.query):
                yield Offender(rule.code, role, number, str(name or ""))

    def report(self, tables: list[TableFacts]) -> AuditReport:
        """What was found, in numbers."""
        return AuditReport(
            tables=tables,
            defects=[self._defect(rule) for rule in RULES],
            effect=self._effect(),
            counts={
                "customers": self._one("SELECT count(*) FROM customers"),
                "people": self._one("SELECT count(*) FROM people"),
                "orders": self._one("SELECT count(*) FROM orders WHERE kind = 'order'"),
                "credit notes": self._one("SELECT count(*) FROM orders WHERE kind = 'credit'"),
                "guest orders": self._one(
                    "SELECT count(*) FROM orders WHERE kind = 'order' AND customer IN (SELECT id FROM house)"
                ),
                "variants": self._one("SELECT count(*) FROM variants"),
            },
            consents=self._pairs(
                "SELECT CASE opted WHEN 1 THEN 'opted in' WHEN 0 THEN 'opted out' ELSE 'no consent known' END, count(*)"
                " FROM people GROUP BY 1 ORDER BY 2 DESC"
            ),
            orders_by_month=self._pairs(
                "SELECT strftime('%Y-%m', at, 'unixepoch'), count(*) FROM orders WHERE kind = 'order' GROUP BY 1 ORDER BY 1"
            )[-24:],
            orders_by_hour=self._pairs(
                "SELECT strftime('%H', at, 'unixepoch'), count(*) FROM orders WHERE kind = 'order' GROUP BY 1 ORDER BY 1"
            ),
            statuses=self._pairs(
                "SELECT coalesce(s.text, 'no status'), count(*) FROM orders o LEFT JOIN statuses s ON s.id = o.status"
                " WHERE o.kind = 'order' GROUP BY 1 ORDER BY 2 DESC"
            )[:_SHOWN_WORDS],
            largest=self._pairs(
                "SELECT customer, count(*) FROM orders WHERE kind = 'order' AND customer IS NOT NULL"
                " GROUP BY 1 ORDER BY 2 DESC, 1"
            )[:_LARGEST],
        )

    def _defect(self, rule: Rule) -> Defect:
        count = self._one(f"SELECT count(*) FROM ({rule.query})")  # noqa: S608 - a query of ours
        words: tuple[tuple[str, int], ...] = ()
        if rule.code in _WITH_WORDS and count:
            # The third column of these is the word itself.
            found = self._database.execute(
                f"WITH found(role, id, word) AS ({rule.query})"  # noqa: S608 - as above
                " SELECT word, count(*) FROM found GROUP BY 1 ORDER BY 2 DESC, 1"
            )
            words = tuple((str(word), number) for word, number in found.fetchmany(_SHOWN_WORDS))
        return Defect(rule, count, words)

    def _effect(self) -> Effect:
        exclude = self._mapping.exclude
        found = [address for (address,) in self._database.execute("SELECT DISTINCT address FROM addresses")]
        excluded = sum(exclude.excludes(address) for address in found)
        contacts = len(found) - excluded
        records = self._one("SELECT count(*) FROM orders WHERE kind IN ('order', 'credit') AND NOT excluded")
        catalogue = self._one("SELECT count(*) FROM variants") if self._mapping.delivery.catalogue is not None else 0
        due = {Work.NEW: contacts, Work.RECORD: records, Work.CATALOGUE: catalogue}
        whole = effort(self._settings, self._mapping, due)
        return Effect(contacts, excluded, records, catalogue, whole.single_calls, whole.imports, whole.seconds)

    def _one(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def _pairs(self, query: str) -> list[tuple[str, int]]:
        return [(str(name), number) for name, number in self._database.execute(query)]
