"""One error contract: what, where, what to do, an exit code, and no trace for what was to be expected."""

import json

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from typer.testing import CliRunner

from streams.cli import output
from streams.cli.errors import failure_of
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.connect.connect_errors import ConnectUnreachable
from streams.core.errors import ConfigurationError, MappingError, OwddError, RecordError, RefusedError
from streams.dotdigital.errors import CredentialsError, NotSentError

app = command_group("Commands that fail.")
errors: dict[str, BaseException] = {}


@app.command()
def fail(as_json: output.AsJson = False) -> None:
    raise errors["it"]


@app.command()
def other() -> None:
    """A group has two commands."""


CASES = [
    (ConfigurationError("is wrong", where="OWDD_X", remedy="Set it"), ExitCode.INVALID, "OWDD_X: is wrong. Set it"),
    (MappingError("file:3: no"), ExitCode.INVALID, "file:3: no"),
    (RefusedError("not now"), ExitCode.REFUSED, "not now"),
    (OwddError("something"), ExitCode.ERROR, "something"),
    (ConnectUnreachable("GET /", "no answer"), ExitCode.UNREACHABLE, "OWDD_CONNECT_URL"),
    (KafkaConnectionError("no broker"), ExitCode.UNREACHABLE, "OWDD_KAFKA_BOOTSTRAP"),
    (TopicAuthorizationFailedError("t"), ExitCode.ERROR, "Kafka: TopicAuthorizationFailedError"),
    (NotSentError("GET /", "refused"), ExitCode.UNREACHABLE, "Dotdigital"),
    (CredentialsError("GET /"), ExitCode.ERROR, "OWDD_DOTDIGITAL_PASSWORD"),
    (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
]


@pytest.mark.parametrize(("error", "code", "text"), CASES, ids=[type(error).__name__ for error, *_ in CASES])
def test_an_expected_error_is_one_message_and_a_code(error: BaseException, code: ExitCode, text: str) -> None:
    errors["it"] = error
    result = CliRunner().invoke(app, ["fail"])
    assert (result.exit_code, result.stdout) == (code, "")
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    shown = json.loads(CliRunner().invoke(app, ["fail", "--json"]).stdout)
    assert shown["exit"] == code.name
    assert text in shown["message"]


def test_where_and_remedy_are_members_for_programs() -> None:
    errors["it"] = ConfigurationError("is wrong", where="OWDD_X", remedy="Set it")
    shown = json.loads(CliRunner().invoke(app, ["fail", "--json"]).stdout)
    assert (shown["error"], shown["where"], shown["remedy"]) == ("ConfigurationError", "OWDD_X", "Set it")


def test_a_wrong_command_line_has_the_code_of_wrong_settings_and_not_of_changes() -> None:
    result = CliRunner().invoke(app, ["fail", "--no-such"])
    assert (result.exit_code, "No such option: --no-such" in result.stderr) == (ExitCode.INVALID, True)
    shown = json.loads(CliRunner().invoke(app, ["fail", "--json", "--no-such"]).stdout)
    assert (shown["error"], shown["exit"]) == ("UsageError", "INVALID")


def test_a_defect_keeps_its_trace() -> None:
    errors["it"] = ZeroDivisionError()
    assert isinstance(CliRunner().invoke(app, ["fail"]).exception, ZeroDivisionError)
    assert failure_of(ZeroDivisionError()) is None


def test_what_comes_with_a_record_cannot_break_a_line() -> None:
    error = RecordError("key_column_missing", "no column \x1b[2Jid\r\nerror: forged\u202e")
    assert str(error) == r"key_column_missing: no column \x1b[2Jid\r\nerror: forged\u202e"
