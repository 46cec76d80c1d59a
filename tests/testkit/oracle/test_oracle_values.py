"""Contact rules §1: how one column value reads."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from testkit.oracle.addresses import UNREADABLE, read
from testkit.oracle.row_reading import instant, iso, money, reference, rounded, text

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(("value", "meant"), [(None, None), (0, None), ("0", None), ("", None), (7, 7), ("7", 7)])
def test_null_and_zero_refer_to_nothing(value: Any, meant: int | None) -> None:
    assert reference(value) == meant


@pytest.mark.parametrize(("value", "meant"), [(None, None), ("", None), (" \t", None), ("  a b ", "a b")])
def test_text_is_trimmed_and_empty_text_is_none(value: str | None, meant: str | None) -> None:
    assert text(value) == meant


CASES = json.loads((Path(__file__).parents[2] / "capture" / "addresses.json").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["field"]))
def test_real_email_fields(case: dict[str, Any]) -> None:
    assert read(case["field"]) == (tuple(case["right"]) or UNREADABLE)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (None, ()),
        (" \u200b", ()),
        ("n/a", UNREADABLE),
        ("07700 900123", UNREADABLE),
        ("b@example.com; a@example.com", ("b@example.com", "a@example.com")),
        ("a@example.com,b@example.com A@EXAMPLE.COM", ("a@example.com", "b@example.com")),
        ("MailTo:a@example.com", ("a@example.com",)),
        ("Ann <a@example.com>.", ("a@example.com",)),
        ("Lee, Ann <a@example.com>, Roe, Zoe <b@example.com>", ("a@example.com", "b@example.com")),
        ('"a@example.com" (accounts)', ("a@example.com",)),
        ("<mailto:a@example.com>", ("a@example.com",)),
        ("a@example.com do not use", UNREADABLE),
        ("a@example", UNREADABLE),
        ("jo,smith@example.com", UNREADABLE),
        ("jo.smith@example,com", UNREADABLE),
        ("zoë@example.com", ("zoë@example.com",)),
        ("a@xn--bcher-kva.example", ("a@bücher.example",)),
    ],
)
def test_an_email_field_names_its_addresses_or_is_unreadable(field: str | None, found: tuple[str, ...] | str) -> None:
    assert read(field) == found


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-01-05T09:30:00Z", "2026-01-05T09:30:00Z"),
        ("2026-07-05T09:30:00Z", "2026-07-05T08:30:00Z"),
        ("2026-07-05T09:30:59.997Z", "2026-07-05T08:30:59Z"),
        ("2026-10-25T00:59:59Z", "2026-10-24T23:59:59Z"),
        ("2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z"),  # comes twice: the first
        ("2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"),
        ("2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"),
        ("2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z"),  # never comes: the offset before the change
        ("2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"),
    ],
)
def test_the_wall_clock_reads_as_utc(wall: str, utc: str) -> None:
    assert iso(instant(wall, LONDON)) == utc


def test_a_missing_time_is_none() -> None:
    assert instant(None, LONDON) is None
    assert iso(None) is None


def test_epoch_milliseconds_are_a_wall_clock_too() -> None:
    # What the connector sends when the site does not switch on ISO strings.
    assert instant(1_783_245_059_997, LONDON) == datetime(2026, 7, 5, 8, 50, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("exact", "shown"),
    [("1.005", "1.01"), ("1.0049", "1.00"), ("-1.005", "-1.01"), ("-0.0049", "0.00"), ("0", "0.00"), ("2.5", "2.50")],
)
def test_money_rounds_half_up_and_zero_has_no_sign(exact: str, shown: str) -> None:
    assert str(rounded(Decimal(exact))) == shown


def test_money_is_exact() -> None:
    assert money("12345678901234.5678") == Decimal("12345678901234.5678")
    assert money(None) is None
