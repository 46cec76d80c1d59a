"""The SQL that the stack runs before anything else: generated from what the simulator uses, and T-SQL."""

import re

import pytest
import sqlglot
from sqlglot import exp

from streams.mapping import load_mapping
from testkit.simulate.sql_script import script
from tests.stack.conftest import ROOT, Service

SCRIPTS = ROOT / "docker" / "sqlserver"


def batches(name: str) -> list[str]:
    """The batches of a script, with its variables filled in as sqlcmd does."""
    text = re.sub(r"\$\((\w+)\)", r"\1", (SCRIPTS / name).read_text())
    return [batch for batch in re.split(r"^GO$", text, flags=re.MULTILINE) if batch.strip()]


def test_the_tables_are_those_that_the_simulator_writes_to() -> None:
    assert (SCRIPTS / "orderwise.sql").read_text() == script(load_mapping()), "stale: run make docs"


def test_they_have_every_column_that_is_captured() -> None:
    made: dict[str, set[str]] = {}
    for batch in batches("orderwise.sql"):
        for table in (found for tree in sqlglot.parse(batch, dialect="tsql") if tree for found in tree.find_all(exp.Schema)):
            made[table.this.name] = {column.name for column in table.find_all(exp.ColumnDef)}
    missing = {table: set(columns) - made[table] for table, columns in load_mapping().columns.items()}
    assert not any(missing.values()), missing


@pytest.mark.parametrize("name", ["database.sql", "orderwise.sql"])
def test_every_batch_is_t_sql(name: str) -> None:
    assert len(batches(name)) >= 5
    for batch in batches(name):
        sqlglot.parse(batch, dialect="tsql")


def test_the_database_is_the_mapping_s() -> None:
    database = load_mapping().source.database
    assert f"CREATE DATABASE [{database}]" in (SCRIPTS / "database.sql").read_text()
    assert set(re.findall(r"^run (\w+) ", (SCRIPTS / "init.sh").read_text(), re.MULTILINE)) == {"master", database}


def test_every_script_that_is_run_exists_and_gets_the_passwords_that_it_asks_for(services: dict[str, Service]) -> None:
    init = (SCRIPTS / "init.sh").read_text()
    mounts = {volume["target"]: volume["source"] for volume in services["orderwise"]["volumes"]}
    asked: set[str] = set()
    for directory, name in re.findall(r"^run \w+ (/\w+)/([\w.]+)$", init, re.MULTILINE):
        asked |= set(re.findall(r"\$\((\w+)\)", (ROOT / mounts[directory] / name).read_text()))
    assert asked == set(re.findall(r"^(OWDD_\w+)=", init, re.MULTILINE))
    assert {name.lower() for name in asked} <= {secret["source"] for secret in services["orderwise"]["secrets"]}
