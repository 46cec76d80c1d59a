"""The shop as SQL: a database that ran the statements holds what the truth says, and T-SQL reads them too."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymssql
import pytest
import sqlglot
from psycopg import sql
from sqlglot import expressions
from typer.testing import CliRunner

from streams.cli import app
from streams.core.errors import ConfigurationError
from streams.mapping import Mapping, load_mapping
from testkit.local_services import postgres
from testkit.local_services.postgres import PostgresInfo
from testkit.simulate import Simulation, SimulationConfig, Truth
from testkit.simulate.envelopes import UNAVAILABLE
from testkit.simulate.sql_dialects import DIALECTS, dialect_of
from testkit.simulate.sql_runner import DatabaseError, SqlRunner, _first_line
from testkit.simulate.sql_schema import COLUMNS, site_tables
from testkit.simulate.sql_writer import NotEmptyError, Sql, Statement
from testkit.simulate.tables import CONTACT, DETAIL

BOTH = pytest.mark.parametrize("scheme", ["postgresql", "mssql"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresInfo]:
    directory = tmp_path_factory.mktemp("postgres")
    yield postgres.start(directory)
    postgres.stop(directory)


@pytest.fixture
def database(server: PostgresInfo) -> Iterator[str]:
    """The URL of an empty database, gone afterwards."""
    with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "Orderwise"')
        yield server.url("Orderwise")
        connection.execute('DROP DATABASE "Orderwise"')


def site(**consent: Any) -> Mapping:
    usual = load_mapping()
    changes = {"house_accounts": frozenset({1}), "consent": usual.consent.model_copy(update=consent)}
    return usual.model_copy(update=changes)


def shop(mapping: Mapping | None = None, **options: Any) -> Simulation:
    return Simulation(SimulationConfig(mapping=mapping or site(), **{"customers": 40, "orders": 300, "live": 1_000} | options))


def statements(simulation: Simulation, scheme: str) -> Iterator[Statement]:
    site_sql = Sql(simulation.config.mapping, DIALECTS[scheme])
    for part in (simulation.opening(), simulation.live()):
        for transaction in part:
            yield from site_sql.statements(transaction)


def held(database: str, password: str, truth: Truth) -> dict[str, dict[str, dict[str, Any]]]:
    """What the database holds, as the truth would write it."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with psycopg.connect(database, password=password) as connection:
        for table in truth.tables:
            cursor = connection.execute(sql.SQL("SELECT * FROM dbo.{}").format(sql.Identifier(table)))
            names = [column.name for column in cursor.description or ()]
            found[table] = {str(row[0]): dict(zip(names, map(plain, row), strict=True)) for row in cursor}
    return found


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat()[:19] if hasattr(value, "isoformat") else value


def published(truth: Truth) -> dict[str, dict[str, dict[str, Any]]]:
    """The truth without fractions of a second, which a database may round."""
    times = {column.name for table in site_tables(site()) for column in table.columns if column.type == "datetime"}
    return {
        table: {
            key: {name: value[:19] if name in times and isinstance(value, str) else value for name, value in row.items()}
            for key, row in rows.items()
        }
        for table, rows in truth.tables.items()
    }


def test_a_database_that_ran_the_statements_holds_what_the_truth_says(server: PostgresInfo, database: str) -> None:
    simulation = shop()
    runner = SqlRunner(simulation, database, server.password)
    runner.opening()
    assert held(database, server.password, simulation.truth()) == published(simulation.truth())
    runner.live()
    assert {"contact_key_changed", "detail_key_changed"} <= simulation.phenomena.keys()
    assert held(database, server.password, simulation.truth()) == published(simulation.truth())


def test_two_parts_in_two_processes_do_what_one_does(server: PostgresInfo, database: str) -> None:
    first, second = shop(), shop()
    SqlRunner(first, database, server.password).opening()
    runner = SqlRunner(second, database, server.password)
    runner.opening(write=False)
    runner.live()
    assert held(database, server.password, second.truth()) == published(second.truth())


def test_live_goes_on_where_it_stopped(server: PostgresInfo, database: str) -> None:
    simulation = shop()
    runner = SqlRunner(simulation, database, server.password)
    runner.opening()
    assert 0 < runner.live(commits=100).records < runner.live().records
    assert held(database, server.password, simulation.truth()) == published(simulation.truth())


def test_a_database_with_rows_is_left_alone(server: PostgresInfo, database: str) -> None:
    first = shop()
    SqlRunner(first, database, server.password).opening()
    with pytest.raises(NotEmptyError, match="has rows already"):
        SqlRunner(shop(seed=2), database, server.password).opening()
    assert held(database, server.password, first.truth()) == published(first.truth())


def test_the_log_carries_whole_old_rows_and_the_connector_finds_its_tables(server: PostgresInfo, database: str) -> None:
    SqlRunner(shop(), database, server.password).opening()
    with psycopg.connect(database, password=server.password) as connection:
        full = connection.execute(
            "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'dbo' AND relkind = 'r' AND relreplident = 'f'"
        ).fetchone()
        assert full == (len(site_tables(site())),)
        assert connection.execute("SELECT id FROM owdd.heartbeat").fetchall() == [(1,)]
        assert connection.execute("SELECT * FROM owdd.signal").fetchall() == []


def test_a_refused_row_is_reported_without_its_content(server: PostgresInfo, database: str) -> None:
    simulation = shop()
    runner = SqlRunner(simulation, database, server.password)
    runner.opening()
    with psycopg.connect(database, password=server.password) as connection:
        connection.execute("ALTER TABLE dbo.order_header ADD CHECK (oh_id < 0) NOT VALID")
    with pytest.raises(DatabaseError) as caught:
        runner.live()
    assert "order_header" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "WEB-" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_sql_server_is_quoted_without_the_value_that_it_quotes() -> None:
    said = b"String or binary data would be truncated in table 'dbo.t', column 'cc_name'. Truncated value: 'Ann Le'.\nDB-Lib"
    message = _first_line(pymssql.OperationalError(2628, said))
    assert message == "String or binary data would be truncated in table 'dbo.t', column 'cc_name'."


def test_the_day_ends_early_and_the_truth_is_right(server: PostgresInfo, database: str) -> None:
    simulation = shop()
    runner = SqlRunner(simulation, database, server.password, seconds=0)
    opening = runner.opening().records
    assert 0 < runner.live().records - opening < 100
    assert held(database, server.password, simulation.truth()) == published(simulation.truth())


def test_a_key_change_is_one_update_of_the_key() -> None:
    simulation = shop()
    keys = [item for item in statements(simulation, "postgresql") if 'SET "cc_id" = %s WHERE' in item.text]
    assert len(keys) == simulation.phenomena["contact_key_changed"] > 0
    assert all(len(item.values) == 2 and item.values[0] != item.values[1] for item in keys)


def test_no_value_stands_in_the_text_of_a_statement() -> None:
    texts = Counter(item.text for item in statements(shop(), "postgresql"))
    assert all(text.count("'") == 0 for text in texts)
    assert sum(texts.values()) > 20 * len(texts)


@BOTH
def test_the_mark_of_a_large_column_is_never_written(scheme: str) -> None:
    written = [value for item in statements(shop(), scheme) for value in item.values]
    assert UNAVAILABLE not in written


def test_every_statement_for_sql_server_is_t_sql() -> None:
    simulation = shop()
    create = Sql(simulation.config.mapping, DIALECTS["mssql"]).create()
    texts = {item.text.replace("%s", "NULL") for item in statements(simulation, "mssql")}
    for text in [*create, *texts]:
        parsed = sqlglot.parse_one(text, dialect="tsql")
        assert not isinstance(parsed, expressions.Command), f"not understood: {text}"


@BOTH
def test_names_and_their_case_are_the_sites(scheme: str) -> None:
    usual = site()
    contact = usual.contact.model_copy(update={"table": "CustomerContact", "email": "Select"})
    mapping = usual.model_copy(update={"contact": contact})
    texts = "\n".join(item.text for item in statements(shop(mapping), scheme))
    quote = {"postgresql": '"{}"', "mssql": "[{}]"}[scheme].format
    assert f"INSERT INTO {quote('dbo')}.{quote('CustomerContact')}" in texts
    assert quote("Select") in texts
    assert CONTACT not in texts


def test_every_column_of_every_row_has_a_type() -> None:
    simulation = shop()
    assert sum(1 for _ in simulation.opening())
    rows = simulation.truth().tables
    for table in site_tables(site()):
        assert {column.name for column in table.columns} == set(next(iter(rows[table.name].values())))


def test_consent_is_a_bit_or_words_as_the_mapping_has_it() -> None:
    def type_of(mapping: Mapping) -> str:
        return next(table for table in site_tables(mapping) if table.name == CONTACT).types["cc_marketing_opt_in"]

    words = {"mode": "column", "column": "cc_marketing_opt_in", "opted_in": frozenset({"y"}), "opted_out": frozenset({"n"})}
    assert type_of(site()) == "bit"
    assert type_of(site(**words)) == "nvarchar(50)"


def test_the_large_column_of_the_details_has_no_length() -> None:
    assert COLUMNS[DETAIL]["ohd_special_instructions"] == "nvarchar(max)"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://user@host/Orderwise", "begins with"),
        ("host/Orderwise", "begins with"),
        ("mssql://user@host:1433", "names no database"),
        ("mssql://user@host:1433/", "names no database"),
        ("mssql://user@host:port/Orderwise", "port"),
        ("mssql://user:hunter2@host/Orderwise", "OWDD_ORDERWISE_PASSWORD"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        dialect_of(urlsplit(url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("fault", [{"duplicates": 0.1}, {"replays": 1}, {"shuffle": True}, {"meta": True}])
def test_faults_of_a_log_are_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="belong to records"):
        SqlRunner(shop(**fault), "mssql://user@host/Orderwise", "")


def test_nobody_at_the_address_is_one_message() -> None:
    runner = SqlRunner(shop(), "postgresql://user@127.0.0.1:1/Orderwise", "secret")
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1") as caught:
        runner.opening()
    assert "secret" not in str(caught.value)


def test_the_command_writes_in_two_parts_and_the_truth(
    server: PostgresInfo, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWDD_ORDERWISE_PASSWORD", server.password)
    options = ["--sql-url", database, "--customers", "20", "--orders", "50", "--house-share", "0"]
    for part in ("opening", "live"):
        result = CliRunner().invoke(app, ["simulate", *options, "--part", part, "--truth", str(tmp_path / part)])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "opening").read_bytes() != (tmp_path / "live").read_bytes()
    again = CliRunner().invoke(app, ["simulate", *options])
    assert again.exit_code == 1
    assert "has rows already" in again.output
    assert CliRunner().invoke(app, ["simulate", *options, "--if-empty"]).exit_code == 0
    assert CliRunner().invoke(app, ["simulate", *options, "--duplicates", "0.1"]).exit_code == 3
