"""The systems audit of a simulated shop: what is planted is found, and the numbers are those of the rows."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import orjson
import pytest

from streams.cli.audit import offenders_as_csv
from streams.operations.systems_audit.database import add_indexes, audit_database, is_placeholder, is_relay
from streams.operations.systems_audit.defects import HOUSE_LEAST_ORDERS, RULES
from streams.operations.systems_audit.findings import Audit
from streams.operations.systems_audit.gather import Gatherer
from streams.operations.systems_audit.page import audit_page
from streams.settings import Settings
from tests.convergence.convergence_harness import simulate, stack
from tests.dlq.commands import owdd
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = dict[str, dict[str, Row]]

SITE = shop_site(1)
AT = "2026-03-05T08:41:12Z"
FIRST = 900_000
"""Planted rows have ids from here on."""

KEYS = {
    "customer_detail": "cd_id",
    "customer_contact": "cc_id",
    "order_header": "oh_id",
    "order_header_detail": "ohd_id",
    "order_header_total": "oht_id",
    "order_line_item": "oli_id",
    "variant_detail": "vad_id",
}


class Plants:
    """Rows that are put beside those of the shop."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.records: list[tuple[str, Any]] = []
        self._next = FIRST

    def row(self, table: str, **columns: Any) -> int:
        """A row like one of the shop's, with an id of its own and these columns."""
        self._next += 1
        row = dict(next(iter(self._tables[table].values()))) | {KEYS[table]: self._next} | columns
        source: dict[str, Any] = {"connector": "sqlserver", "table": table, "commit_lsn": "0000ffff:00000001:0001"}
        source |= {"snapshot": "false", "ts_ms": 1_793_000_000_000}
        value = {"before": None, "after": row, "source": source, "op": "c", "ts_ms": 1_793_000_000_000}
        record = SimpleNamespace(key=orjson.dumps({KEYS[table]: self._next}), value=orjson.dumps(value), timestamp=1)
        self.records.append((table, record))
        return self._next

    def customer(self) -> int:
        return self.row("customer_detail", cd_statement_email=None, cd_invoice_email=None)

    def person(self, customer: int, email: str | None, first: str = "Zoe", **columns: Any) -> int:
        names = {"cc_first_name": first, "cc_last_name": f"Planted{self._next}", "cc_name": None}
        given = {"cc_customer_id": customer, "cc_email": email, "cc_marketing_opt_in": None} | names | columns
        return self.row("customer_contact", **given)

    def order(self, customer: int | None, email: str | None = None, **columns: Any) -> int:
        """A sound order, but for what ``columns`` spoil."""
        total, currency = columns.pop("total", True), columns.pop("currency", 1)
        status = next(int(key) for key, row in self._tables["order_status"].items() if row["os_description"] == "Completed")
        given = {"oh_cd_id": customer, "oh_sot_id": 1, "oh_os_id": status, "oh_datetime": AT} | columns
        order = self.row("order_header", **given)
        self.row("order_header_detail", ohd_oh_id=order, ohd_c_id=currency, ohd_delivery_email=email, ohd_invoice_email=None)
        if total:
            self.row("order_header_total", oht_oh_id=order)
        return order


@contextmanager
def audited(records: list[tuple[str, Any]]) -> Iterator[tuple[Audit, Gatherer]]:
    with audit_database(SITE) as database:
        gatherer = Gatherer(SITE, database)
        for table, record in records:
            gatherer.add(table, record)
        add_indexes(database)
        yield Audit(Settings(), SITE, database), gatherer


@pytest.fixture(scope="module")
def shop_records() -> tuple[list[tuple[str, Any]], Tables]:
    simulation = shop(SITE, 1)
    tables = {SITE.topic(table): table for table in SITE.tables}
    records = [
        (tables[event.topic], SimpleNamespace(key=event.key, value=event.value, timestamp=event.ts_ms))
        for event in simulation.events()
        if event.topic in tables and event.value is not None
    ]
    return records, simulation.truth().tables


def counts(records: list[tuple[str, Any]]) -> dict[str, int]:
    with audited(records) as (audit, gatherer):
        return {item.rule.code: item.count for item in audit.report(list(gatherer.tables.values())).defects}


def plant_everything(plants: Plants) -> dict[str, int]:
    """One or more of each defect; how many rows have it."""
    one, two, house = plants.customer(), plants.customer(), plants.customer()
    plants.person(one, "twin@planted.co.uk")
    plants.person(one, "twin@planted.co.uk")
    plants.person(one, "a@planted.co.uk", cc_first_name="Ada", cc_last_name="Same")
    plants.person(one, "b@planted.co.uk", cc_first_name="ADA", cc_last_name="same")
    plants.person(one, "nobody knows")
    plants.person(one, "shared@planted.co.uk")
    plants.person(two, "shared@planted.co.uk")
    plants.person(one, "noreply@planted.co.uk")
    plants.person(one, "x7@marketplace.amazon.co.uk")
    plants.person(one, "word@planted.co.uk", cc_marketing_opt_in="perhaps")
    for number in range(HOUSE_LEAST_ORDERS):
        plants.order(house, f"guest{number}@planted.co.uk")
    plants.order(999_999_999)
    plants.order(one, total=False)
    plants.order(one, currency=777)
    plants.order(one, oh_sot_id=55)
    plants.order(one, oh_os_id=999_999)
    plants.order(one, oh_datetime="2026-12-31T08:00:00Z")
    line = plants.order(one)
    plants.row("order_line_item", oli_oh_id=line, oli_original_oli_id=0, oli_vad_id=999_999_999)
    credit = plants.order(one, oh_sot_id=min(SITE.order.types.credit))
    plants.row("order_line_item", oli_oh_id=credit, oli_original_oli_id=999_999_999, oli_vad_id=0)
    plants.row("variant_detail", vad_pd_id=999_999_999)
    return {
        "duplicate_address": 2 + 2,  # the twins, and the two who share
        "duplicate_name": 2,
        "unreadable_address": 1,
        "shared_address": 2,
        "placeholder_address": 1,
        "relay_address": 1,
        "house_account": 1,
        "order_without_customer": 1,
        "order_without_total": 1,
        "credit_without_order": 1,
        "unknown_type": 1,
        "unknown_status": 1,
        "unknown_currency": 1,
        "unknown_consent": 1,
        "line_without_variant": 1,
        "variant_without_product": 1,
        "order_from_the_future": 1,
    }


def test_everything_that_is_planted_is_found_and_nothing_else(shop_records: tuple[list[tuple[str, Any]], Tables]) -> None:
    records, tables = shop_records
    plants = Plants(tables)
    planted = plant_everything(plants)
    assert planted.keys() == {rule.code for rule in RULES}
    before, after = counts(records), counts(records + plants.records)
    assert {code: after[code] - before[code] for code in after} == planted


def truth_of(code: str) -> Callable[[Tables], int]:
    return {
        "order_without_total": lambda tables: sum(
            _kind(row) is not None and int(key) not in {total["oht_oh_id"] for total in tables["order_header_total"].values()}
            for key, row in tables["order_header"].items()
        ),
        "order_without_customer": lambda tables: sum(
            _kind(row) is not None and str(row["oh_cd_id"]) not in tables["customer_detail"]
            for row in tables["order_header"].values()
        ),
        "unknown_type": lambda tables: sum(
            SITE.order.types.kind(row["oh_sot_id"]) is None for row in tables["order_header"].values()
        ),
        "unknown_currency": lambda tables: sum(
            bool(row["ohd_c_id"]) and row["ohd_c_id"] not in SITE.order.currencies
            for row in tables["order_header_detail"].values()
        ),
        "line_without_variant": lambda tables: sum(
            bool(row["oli_vad_id"]) and str(row["oli_vad_id"]) not in tables["variant_detail"]
            for row in tables["order_line_item"].values()
        ),
        "unknown_status": lambda tables: sum(
            _kind(row) is not None and _status(tables, row) not in SITE.order.statuses
            for row in tables["order_header"].values()
        ),
    }[code]


def _kind(row: Row) -> str | None:
    kind = SITE.order.types.kind(row["oh_sot_id"])
    return None if kind == "ignore" else kind


def _status(tables: Tables, row: Row) -> str:
    return str(tables["order_status"].get(str(row["oh_os_id"]), {}).get("os_description")).strip().casefold()


@pytest.mark.parametrize(
    "code",
    [
        "order_without_total",
        "order_without_customer",
        "unknown_type",
        "unknown_currency",
        "line_without_variant",
        "unknown_status",
    ],
)
def test_the_numbers_are_those_of_the_shops_rows(shop_records: tuple[list[tuple[str, Any]], Tables], code: str) -> None:
    records, tables = shop_records
    assert counts(records)[code] == truth_of(code)(tables)


def test_tables_have_as_many_rows_as_the_shop(shop_records: tuple[list[tuple[str, Any]], Tables]) -> None:
    records, tables = shop_records
    with audited(records) as (_, gatherer):
        found = {facts.table: facts.rows for facts in gatherer.tables.values()}
    assert found == {table: len(tables[table]) for table in found}


def test_a_record_that_cannot_be_read_is_counted() -> None:
    with audited([("order_header", SimpleNamespace(key=b"{}", value=b"?", timestamp=1))]) as (_, gatherer):
        assert gatherer.tables["order_header"].unreadable == Counter(value_not_json=1)


def test_the_csv_names_people_only_when_it_is_asked_to(shop_records: tuple[list[tuple[str, Any]], Tables]) -> None:
    records, tables = shop_records
    plants = Plants(tables)
    plant_everything(plants)
    with audited(records + plants.records) as (audit, gatherer):
        hidden, shown = offenders_as_csv(audit, b"k"), offenders_as_csv(audit, None)
        total = sum(item.count for item in audit.report(list(gatherer.tables.values())).defects)
    assert "@" not in hidden
    assert "same" not in hidden
    assert "twin@planted.co.uk" in shown
    assert len(list(csv.reader(io.StringIO(hidden)))) == total + 1


def test_the_page_asks_nobody_for_anything_and_escapes_what_people_type(
    shop_records: tuple[list[tuple[str, Any]], Tables],
) -> None:
    records, tables = shop_records
    plants = Plants(tables)
    plants.person(plants.customer(), "w@planted.co.uk", cc_marketing_opt_in="<script>x</script>")
    with audited(records + plants.records) as (audit, gatherer):
        page = audit_page(audit.report(list(gatherer.tables.values())), "shop", 1_793_600_000_000)
    assert "&lt;script&gt;" in page
    assert re.findall(r"<script|https?://|@import|url\(|<link|<img", page) == []
    assert page.count("<svg") == 5


@pytest.mark.parametrize("address", ["noreply@shop.co.uk", "x@example.com", "x@y.invalid"])
def test_placeholders(address: str) -> None:
    assert is_placeholder(address)
    assert not is_placeholder("anne.test@shop.co.uk")


def test_relays() -> None:
    assert [is_relay(address) for address in ("a@marketplace.amazon.es", "a@duck.com", "a@amazon.com")] == [True, True, False]


async def test_the_command_reads_the_topics(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "audited", partitions=2) as running:
        await simulate(running, seed=5, customers=20, orders=40, rate=0)
        page, rows = tmp_path / "audit.html", tmp_path / "audit.csv"
        done = await owdd(running, "audit", "--html", str(page), "--csv", str(rows), "--json")
        assert done.exit_code == 0, done.output
        truth = orjson.loads((tmp_path / "truth.json").read_bytes())["tables"]
        found = orjson.loads(done.stdout)
        assert {table: facts["rows"] for table, facts in found["tables"].items()} == {
            table: len(truth[table]) for table in found["tables"]
        }
        assert page.read_text().startswith("<!DOCTYPE html>")
        assert len(list(csv.reader(io.StringIO(rows.read_text())))) == sum(found["defects"].values()) + 1
        assert (page.stat().st_mode & 0o777, rows.stat().st_mode & 0o777) == (0o600, 0o600)
