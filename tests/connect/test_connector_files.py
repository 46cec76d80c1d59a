"""``render`` and ``sql``: what they print is what they write, a stale file is told, and the committed files are fresh."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.connect.files import Rendered, configuration_file, script_files
from streams.connect.sql import SCRIPTS
from streams.mapping import DEFAULT
from streams.settings import Settings
from tests.connect.connect_harness import MAPPING, settings

CONNECTORS = Path(__file__).parents[2] / "connectors"
COMMITTED = [
    (CONNECTORS, configuration_file(MAPPING, "sqlserver", settings())),
    *((CONNECTORS / "sql", file) for file in script_files(MAPPING, settings())),
]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings of ours."""
    for name in [name for name in os.environ if name.upper().startswith("OWDD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "secrets_dir", None)


def owdd(*arguments: str) -> Result:
    """Run one of the two commands."""
    return CliRunner().invoke(app, ["connectors", *arguments])


@pytest.mark.parametrize(("directory", "file"), COMMITTED, ids=[file.name for _, file in COMMITTED])
def test_the_committed_files_are_up_to_date(directory: Path, file: Rendered) -> None:
    assert file.is_current(directory), f"connectors/ is stale: run 'make docs' to write {file.name} anew"


def test_no_other_script_is_committed() -> None:
    assert {file.name for file in (CONNECTORS / "sql").iterdir()} == {f"{name}.sql" for name in SCRIPTS}


class TestRender:
    def test_it_prints_the_file(self) -> None:
        result = owdd("render")
        assert result.exit_code == 0
        assert result.stdout == configuration_file(MAPPING, "sqlserver", settings()).text

    def test_the_kind_is_a_setting_and_an_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert json.loads(owdd("render", "--kind", "postgres").stdout)["topic.prefix"] == "ow.Orderwise"
        monkeypatch.setenv("OWDD_SOURCE_KIND", "postgres")
        assert json.loads(owdd("render").stdout)["topic.prefix"] == "ow.Orderwise"

    def test_it_follows_the_sites_mapping_and_settings(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        site = tmp_path / "mapping.yaml"
        site.write_text(DEFAULT.read_text("utf-8").replace("database: Orderwise", "database: OW_Live"), "utf-8")
        monkeypatch.setenv("OWDD_MAPPING", str(site))
        monkeypatch.setenv("OWDD_SOURCE_HOST", "sql.example")
        config = json.loads(owdd("render").stdout)
        assert (config["database.names"], config["database.hostname"]) == ("OW_Live", "sql.example")

    def test_it_writes_the_file_and_then_finds_it_current(self, tmp_path: Path) -> None:
        out = str(tmp_path / "connectors")
        assert owdd("render", "--out", out).stdout == f"{out}/orderwise-sqlserver.json: written\n"
        assert owdd("render", "--out", out).stdout == f"{out}/orderwise-sqlserver.json: current\n"
        assert (tmp_path / "connectors" / "orderwise-sqlserver.json").read_text("utf-8") == owdd("render").stdout

    def test_checking_reports_a_stale_file_and_leaves_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        owdd("render", "--out", str(tmp_path))
        assert owdd("render", "--check", "--out", str(tmp_path)).exit_code == 0
        monkeypatch.setenv("OWDD_SOURCE_PORT", "1444")
        result = owdd("render", "--check", "--out", str(tmp_path), "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (ExitCode.CHANGES, {"orderwise-sqlserver.json": "stale"})
        assert '"1433"' in (tmp_path / "orderwise-sqlserver.json").read_text("utf-8")

    def test_checking_reports_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert owdd("render", "--check", "--out", str(tmp_path)).exit_code == ExitCode.CHANGES
        assert list(tmp_path.iterdir()) == []

    def test_checking_needs_something_to_compare_with(self) -> None:
        result = owdd("render", "--check")
        assert (result.exit_code, result.stderr) == (
            ExitCode.INVALID,
            "error: --check needs --out, the directory to compare with\n",
        )

    def test_a_wrong_mapping_is_one_message(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("OWDD_MAPPING", str(tmp_path / "none.yaml"))
        result = owdd("render")
        assert result.exit_code == ExitCode.INVALID
        assert "cannot be read" in result.stderr


class TestSql:
    def test_one_script_is_printed_as_it_is(self) -> None:
        text = next(file.text for file in script_files(MAPPING, settings()) if file.name == "login.sql")
        assert owdd("sql", "--script", "login").stdout == text

    def test_all_are_written(self, tmp_path: Path) -> None:
        result = owdd("sql", "--out", str(tmp_path), "--json")
        assert json.loads(result.stdout) == {f"{name}.sql": "written" for name in SCRIPTS}
        assert {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()} == {
            file.name: file.text for file in script_files(MAPPING, settings())
        }

    def test_as_json_they_are_texts_by_name(self) -> None:
        assert set(json.loads(owdd("sql", "--json").stdout)) == {f"{name}.sql" for name in SCRIPTS}

    def test_rotation_of_some_tables(self) -> None:
        printed = owdd("sql", "--script", "rotate", "--table", "order_header", "--table", "order_status").stdout
        assert printed.count("EXEC sys.sp_cdc_enable_table") == 2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--table", "order_header"), "--table can be used with --script rotate only"),
            (("--script", "drop"), "there is no script 'drop'"),
            (("--script", "enable", "--table", "order_header"), "only rotate.sql accepts --table"),
            (("--script", "rotate", "--table", "user_detail"), "are not in the mapping"),
        ],
    )
    def test_what_does_not_fit_is_reported(self, arguments: tuple[str, ...], message: str) -> None:
        result = owdd("sql", *arguments)
        assert result.exit_code == ExitCode.INVALID
        assert message in result.stderr
