"""Options of the command that are wrong are named before Kafka is asked; those that are right mean what they say."""

import getpass
from datetime import UTC, datetime

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.common import operator_name
from streams.cli.dlq_filters import Filters
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.messages.dead_letters import keyed_hash
from streams.settings import Settings

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--kind", "other", "it must be one of ingest, delivery"),
        ("--stage", "order", "it must be one of ingest, orders, buyers"),
        ("--age", "3 weeks", "write it as 90s, 30m, 12h or 7d"),
        ("--since", "yesterday", "write it as 2026-11-23T14:00"),
        ("--until", "25:00", "write it as 2026-11-23T14:00"),
    ],
)
def test_a_wrong_filter_is_named(option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(app, ["dlq", "list", option, value])
    assert (result.exit_code, said in result.output) == (3, True)


def test_times_without_a_zone_are_utc_and_the_earlier_end_counts() -> None:
    found = Filters(age="1h", since="2026-01-02T03:04", until="2026-01-02T04:04+01:00").selection(SETTINGS)
    moment = int(datetime(2026, 1, 2, 3, 4, tzinfo=UTC).timestamp() * 1000)
    assert (found.since, found.until) == (moment, moment)


def test_an_age_is_at_least_that_old() -> None:
    before = SystemClock().now_ms()
    until = Filters(age="2m").selection(SETTINGS).until
    assert until is not None
    assert before - 120_000 <= until <= SystemClock().now_ms() - 120_000


def test_of_a_key_only_hashes_are_kept() -> None:
    found = Filters(key=" Ann@example.com").selection(SETTINGS)
    assert found.keys is not None
    assert keyed_hash(b"ann@example.com", SETTINGS.hash_key.get_secret_value().encode()) in found.keys
    assert "ann" not in repr(found).lower()


def test_whoever_has_no_name_must_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator_name("ops") == "ops"
    with pytest.raises(ConfigurationError, match="--operator"):
        operator_name(None)


@pytest.mark.parametrize("execute", [(), ("--execute",)])
def test_nothing_is_dropped_without_a_filter(execute: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["dlq", "drop", *execute])
    assert (result.exit_code, "Add --code, --stage or another filter, or --all" in result.output) == (3, True)


def test_list_retry_and_drop_have_the_same_filters() -> None:
    group = get_command(app)
    context = group.make_context("owdd", ["dlq"], resilient_parsing=True)
    _, dlq, _ = group.resolve_command(context, ["dlq"])  # type: ignore[attr-defined]
    options = {
        name: {option for part in dlq.commands[name].params for option in part.opts} for name in ("list", "retry", "drop")
    }
    filters = {"--kind", "--stage", "--code", "--key", "--age", "--since", "--until"}
    assert all(filters <= found for found in options.values())
