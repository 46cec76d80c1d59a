"""Settings: where they come from, what is refused and how that is said, and that no secret is ever shown."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.core.errors import ConfigurationError
from streams.dispatch.policies import budget_policy, routing_policy
from streams.dotdigital.tiers import Tier
from streams.mapping import DEFAULT
from streams.settings import Settings, load_settings

SECRET = "quagga-0-password"
SECRETS = [name for name, info in Settings.model_fields.items() if info.annotation is SecretStr]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings of ours."""
    for name in [name for name in os.environ if name.upper().startswith("OWDD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "secrets_dir", None)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The directory of secret files."""
    monkeypatch.setitem(Settings.model_config, "secrets_dir", tmp_path)
    return tmp_path


def owdd(*arguments: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, list(arguments))


def problem() -> str:
    """What is said about the settings."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


class TestBudget:
    def test_what_is_not_set_is_not_limited(self) -> None:
        assert (budget_policy(load_settings()).calls, budget_policy(load_settings()).flat) == ({}, None)

    def test_what_is_set_reaches_governor_and_routing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = {
            "BUDGET_HIGH": "3000",
            "BUDGET_FLAT": "2000",
            "BUDGET_URGENT": "0.2",
            "LIVE_LONGEST": "5",
            "IMPORT_MOST": "500",
        }
        for name, value in values.items():
            monkeypatch.setenv(f"OWDD_{name}", value)
        budget, routing = budget_policy(load_settings()), routing_policy(load_settings())
        assert (budget.calls, budget.flat, budget.reserve.urgent) == ({Tier.HIGH: 3000}, 2000, 0.2)
        assert (routing.live_longest, routing.import_most) == (5.0, 500)


class TestSources:
    def test_every_setting_has_a_default_that_works(self) -> None:
        settings = load_settings()
        assert (settings.app_id, settings.partitions, settings.mapping) == ("owdd", 8, None)

    def test_the_environment_sets_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_KAFKA_BOOTSTRAP", "kafka-1:9092,kafka-2:9092")
        monkeypatch.setenv("OWDD_PARTITIONS", "12")
        monkeypatch.setenv("OWDD_LOG_JSON", "true")
        monkeypatch.setenv("OWDD_MAPPING", "/etc/owdd/mapping.yaml")
        settings = load_settings()
        assert settings.kafka_bootstrap == "kafka-1:9092,kafka-2:9092"
        assert (settings.partitions, settings.log_json) == (12, True)
        assert settings.mapping == Path("/etc/owdd/mapping.yaml")

    def test_an_empty_variable_is_one_that_is_not_set(self, monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
        (secrets / "owdd_dotdigital_password").write_text(SECRET)
        monkeypatch.setenv("OWDD_MAPPING", "")
        monkeypatch.setenv("OWDD_PARTITIONS", "")
        monkeypatch.setenv("OWDD_DOTDIGITAL_PASSWORD", "")
        settings = load_settings()
        assert (settings.mapping, settings.partitions) == (None, 8)
        assert settings.dotdigital_password.get_secret_value() == SECRET

    def test_a_file_sets_a_secret_without_its_last_line_break(self, secrets: Path) -> None:
        (secrets / "owdd_dotdigital_password").write_text(SECRET + "\n")
        assert load_settings().dotdigital_password.get_secret_value() == SECRET

    def test_any_setting_may_be_a_file(self, secrets: Path) -> None:
        (secrets / "owdd_dotdigital_user").write_text("apiuser-1@apiconnector.example")
        assert load_settings().dotdigital_user == "apiuser-1@apiconnector.example"

    def test_the_environment_wins_over_a_file(self, monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
        (secrets / "owdd_dotdigital_user").write_text("file")
        monkeypatch.setenv("OWDD_DOTDIGITAL_USER", "environment")
        assert load_settings().dotdigital_user == "environment"

    def test_files_of_others_in_the_directory_are_no_matter(self, secrets: Path) -> None:
        (secrets / "postgres_password").write_text("x")
        assert load_settings().app_id == "owdd"

    def test_the_directory_is_named_by_a_variable(self, tmp_path: Path) -> None:
        (tmp_path / "owdd_app_id").write_text("shop")
        (tmp_path / "owdd_hash_key").write_text(SECRET)
        # The directory is read when the module is imported, hence another process.
        shown = subprocess.run(
            [sys.executable, "-m", "streams", "config", "show", "--json"],
            env=os.environ | {"OWDD_SECRETS_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert json.loads(shown)["app_id"] == "shop"
        assert SECRET not in shown

    def test_they_cannot_be_changed(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load_settings().partitions = 9  # type: ignore[misc]


class TestProblems:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("OWDD_PARTITIONS", "many"),
            ("OWDD_PARTITIONS", "0"),
            ("OWDD_PARTITIONS", "1025"),
            ("OWDD_PARTITIONS", "8.5"),
            ("OWDD_REPLICATION", "-1"),
            ("OWDD_METRICS_PORT", "65536"),
            ("OWDD_APP_ID", "ow dd"),
            ("OWDD_APP_ID", "x" * 81),
            ("OWDD_APP_VERSION", "0"),
            ("OWDD_COMPRESSION", "gzip"),
            ("OWDD_BREAKER_SHARE", "0"),
            ("OWDD_BREAKER_SHARE", "1.01"),
            ("OWDD_BREAKER_WINDOW", "9"),
            ("OWDD_URGENT_QUIET", "-0.1"),
            ("OWDD_URGENT_QUIET", "nan"),
            ("OWDD_BULK_LONGEST", "inf"),
            ("OWDD_DISPATCH_CONNECTIONS", "9"),
            ("OWDD_LOG_LEVEL", "loud"),
            ("OWDD_LOG_JSON", "perhaps"),
        ],
    )
    def test_a_bad_value_is_reported_by_its_variable(self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        assert problem().startswith(f"{variable}: ")

    def test_every_bad_value_has_a_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_PARTITIONS", "many")
        monkeypatch.setenv("OWDD_LOG_LEVEL", "loud")
        assert [line.partition(":")[0] for line in problem().splitlines()] == ["OWDD_PARTITIONS", "OWDD_LOG_LEVEL"]

    def test_a_bad_value_in_a_file_is_reported_by_its_variable_too(self, secrets: Path) -> None:
        (secrets / "owdd_partitions").write_text("many")
        assert problem().startswith("OWDD_PARTITIONS: ")

    def test_a_problem_never_reports_the_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_DOTDIGITAL_PASSWORD", SECRET)
        monkeypatch.setenv("OWDD_PARTITIONS", "quagga-1")
        assert "quagga" not in problem()

    def test_the_command_line_says_it_in_one_line_and_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_PARTITIONS", "0")
        result = owdd("config", "show")
        assert result.exit_code == 3
        assert result.output.startswith("error: OWDD_PARTITIONS: ")
        assert result.output.count("\n") == 1

    def test_a_wrong_mapping_fails_it_too(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        file = tmp_path / "mapping.yaml"
        file.write_text(DEFAULT.read_text("utf-8").replace("version: 1", "version: 2"), "utf-8")
        monkeypatch.setenv("OWDD_MAPPING", str(file))
        result = owdd("config", "show")
        assert result.exit_code == 3
        assert result.output.startswith(f"error: {file}:")


class TestSecrets:
    @pytest.fixture(autouse=True)
    def secret(self, bare: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Every secret is set."""
        for name in SECRETS:
            monkeypatch.setenv(f"OWDD_{name.upper()}", SECRET)
        yield

    def test_the_passwords_and_the_keys_of_hashes_are_secrets(self) -> None:
        assert set(SECRETS) == {
            "connect_password",
            "console_token",
            "dotdigital_password",
            "erasure_key",
            "former_erasure_keys",
            "hash_key",
            "kafka_key",
            "kafka_key_password",
            "kafka_password",
            "state_token",
        }

    def test_every_setting_that_sounds_like_a_secret_is_one(self) -> None:
        publishing = ("password", "secret", "token", "key")
        assert {name for name in Settings.model_fields if any(word in name for word in publishing)} == set(SECRETS)

    def test_the_settings_as_text_do_not_show_them(self) -> None:
        settings = load_settings()
        assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"

    @pytest.mark.parametrize("arguments", [("config", "show"), ("config", "show", "--json")])
    def test_the_command_line_masks_them(self, arguments: tuple[str, ...]) -> None:
        result = owdd(*arguments)
        assert result.exit_code == 0, result.output
        assert "quagga" not in result.output
        assert "****" in result.output

    def test_a_secret_that_is_not_set_is_seen_to_be_empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OWDD_DOTDIGITAL_PASSWORD")
        shown = json.loads(owdd("config", "show", "--json").output)
        assert (shown["dotdigital_password"], shown["hash_key"]) == ("", "********")


class TestShow:
    def test_as_json_it_has_every_setting_in_force(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_PARTITIONS", "12")
        shown = json.loads(owdd("config", "show", "--json").output)
        assert shown.keys() == Settings.model_fields.keys()
        assert (shown["partitions"], shown["mapping"], shown["log_json"]) == (12, None, False)

    def test_as_a_table_it_names_every_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        shown = owdd("config", "show").output
        assert all(f"OWDD_{name.upper()}" in shown for name in Settings.model_fields)

    def test_every_setting_is_explained(self) -> None:
        assert all(info.description for info in Settings.model_fields.values())

    def test_the_reference_is_current(self) -> None:
        page = Path(__file__).parents[1] / "docs" / "configuration.md"
        assert owdd("config", "reference").output == page.read_text("utf-8"), "run 'make docs'"


class TestSchema:
    def schema(self, *arguments: str) -> dict[str, Any]:
        """The schema that the command line prints."""
        result = owdd("config", "schema", *arguments)
        assert result.exit_code == 0, result.output
        printed: dict[str, Any] = json.loads(result.output)
        return printed

    @pytest.mark.parametrize("of", ["settings", "mapping"])
    def test_it_is_a_json_schema(self, of: str) -> None:
        schema = self.schema(of)
        for node in _nodes(schema):
            assert node.get("type", "object") in ("object", "array", "string", "integer", "number", "boolean", "null")
            assert set(node.get("required", ())) <= node.get("properties", {}).keys()
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]

    def test_it_is_the_mappings_unless_asked_otherwise(self) -> None:
        schema = self.schema()
        assert schema == self.schema("mapping")
        assert {"version", "source", "customer", "contact", "order", "contact_fields"} <= set(schema["required"])
        assert schema["additionalProperties"] is False

    def test_it_calls_keys_as_the_file_does(self) -> None:
        assert "schema" in self.schema()["$defs"]["Source"]["properties"]

    def test_the_settings_schema_has_every_setting_and_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_DOTDIGITAL_PASSWORD", SECRET)
        schema = self.schema("settings")
        assert schema["properties"].keys() == Settings.model_fields.keys()
        assert SECRET not in json.dumps(schema)

    def test_there_is_no_other(self) -> None:
        result = owdd("config", "schema", "streams")
        assert result.exit_code == 3
        assert "settings or mapping" in result.output


def _nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for keyword in ("properties", "$defs"):
            for inner in schema.get(keyword, {}).values():
                yield from _nodes(inner)
        for keyword in ("items", "additionalProperties"):
            yield from _nodes(schema.get(keyword))
        for inner in schema.get("anyOf", []):
            yield from _nodes(inner)
