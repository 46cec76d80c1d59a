"""What applying would do, and what speaks against it: pure."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connect.masking import MASK
from streams.connect.plan import IDENTITY, Difference, Plan, classify_errors, planned
from streams.connect.responses import CheckedProperty, CheckedValue, Validation

FINE = Validation(0)
RUNNING = {
    "name": "orderwise",
    "connector.class": "io.debezium.connector.sqlserver.SqlServerConnector",
    "topic.prefix": "ow",
    "database.names": "Orderwise,Archive",
    "database.dbname": "orderwise",
    "slot.name": "orderwise",
    "schema.history.internal.kafka.topic": "ow.schema-history",
    "database.password": "old-secret",
    "poll.interval.ms": "500",
    "gone": "1",
}
CANNOT_CONNECT = (
    "Unable to connect. Check this and other connection properties. Error: The TCP/IP connection to the host sql, port 1433 "
    'has failed. Error: "sql. Verify the connection properties."'
)


def validation(**errors: str) -> Validation:
    """A validation with one error per property; ``_`` stands for a dot."""
    checked = tuple(CheckedProperty(CheckedValue(key.replace("_", "."), (text,))) for key, text in errors.items())
    return Validation(len(checked), checked)


def test_a_connector_that_is_not_there_is_created() -> None:
    plan = planned("orderwise", None, {"topic.prefix": "ow"}, FINE)
    assert (plan.action, plan.possible) == ("create", True)
    assert plan.differences == (Difference("topic.prefix", None, "ow"),)


def test_the_same_configuration_is_nothing_to_do_whatever_name_the_worker_adds() -> None:
    desired = {key: value for key, value in RUNNING.items() if key != "name"}
    assert planned("orderwise", RUNNING, desired, FINE) == Plan("orderwise", "none")


def test_changed_new_and_lost_properties_are_distinguished_and_secrets_masked() -> None:
    desired = {key: value for key, value in RUNNING.items() if key != "gone"} | {
        "poll.interval.ms": "1000",
        "new": "2",
        "database.password": "${env:PASSWORD}",
    }
    assert planned("orderwise", RUNNING, desired, FINE).differences == (
        Difference("database.password", MASK, "${env:PASSWORD}"),
        Difference("gone", "1", None),
        Difference("new", None, "2"),
        Difference("poll.interval.ms", "500", "1000"),
    )


def test_a_changed_secret_is_a_difference_though_both_sides_look_alike() -> None:
    plan = planned("orderwise", RUNNING, RUNNING | {"database.password": "new-secret"}, FINE)
    assert plan.action == "update"
    assert plan.differences == (Difference("database.password", MASK, MASK),)


@pytest.mark.parametrize("key", IDENTITY)
def test_the_identity_of_a_connector_changes_only_by_force(key: str) -> None:
    desired = RUNNING | {key: "another"}
    refused = planned("orderwise", RUNNING, desired, FINE)
    assert not refused.possible
    assert key in refused.refused[0]
    assert planned("orderwise", RUNNING, desired, FINE, force=True).possible
    assert not planned("orderwise", RUNNING, {k: v for k, v in RUNNING.items() if k != key}, FINE).possible


def test_the_order_of_databases_is_no_identity() -> None:
    assert planned("orderwise", RUNNING, RUNNING | {"database.names": "Archive, Orderwise"}, FINE).possible


def test_an_identity_that_was_never_given_may_be_given() -> None:
    assert planned("orderwise", {"topic.prefix": "ow"}, {"topic.prefix": "ow", "slot.name": "orderwise"}, FINE).possible


@pytest.mark.parametrize(
    "said",
    [
        CANNOT_CONNECT,
        "Connection validation timed out after 60000 ms",
        "Error during connection validation: interrupted",
        "Error while validating connector config: The connection attempt failed.",
    ],
)
def test_a_database_that_does_not_answer_is_no_fault_of_the_configuration(said: str) -> None:
    assert classify_errors(validation(database_hostname=said), {}) == ((), (f"database.hostname: {said}",))


@pytest.mark.parametrize(
    "said",
    [
        "A value is required",
        "Unable to connect. Check this and other connection properties. Error: Login failed for user 'owdd_capture'.",
        'Unable to connect. Error: Cannot open database "Orderwis" requested by the login. The login failed.',
        'Unable to connect. Error: "PKIX path building failed: unable to find valid certification path to requested target".',
        'Error while validating connector config: FATAL: password authentication failed for user "owdd"',
        'Error while validating connector config: FATAL: database "orderwis" does not exist',
    ],
)
def test_a_database_that_answers_and_refuses_is_the_configuration_s_fault(said: str) -> None:
    assert classify_errors(validation(database_hostname=said), {}) == ((f"database.hostname: {said}",), ())


def test_only_the_host_can_be_unreachable() -> None:
    problems, unreachable = classify_errors(validation(database_user="Unable to connect"), {})
    assert (len(problems), unreachable) == (1, ())


def test_what_the_lint_finds_makes_a_plan_impossible() -> None:
    plan = planned("orderwise", None, {}, FINE, ("topic.prefiks: unknown",))
    assert (plan.problems, plan.possible) == (("topic.prefiks: unknown",), False)


def test_a_property_that_the_plugin_did_not_look_at_has_no_error() -> None:
    assert Validation(0, (CheckedProperty(None),)).errors == {}


def test_errors_that_are_counted_and_not_named_are_errors() -> None:
    assert not planned("orderwise", None, {}, Validation(2)).possible


@given(
    st.dictionaries(st.sampled_from(["database.password", "a.secret", "column.mask.with.salt.Qx7Zp"]), st.just("Hunter2!")),
    st.dictionaries(
        st.sampled_from(["database.password", "b.token", "topic.prefix"]), st.sampled_from(["Hunter2!", "${env:A}"])
    ),
)
def test_no_plan_shows_a_secret(running: dict[str, str], desired: dict[str, str]) -> None:
    desired.pop("topic.prefix", None)
    running = {key: value if "salt" not in key else "dbo.t.c" for key, value in running.items()}
    said = validation(a_secret=f"Invalid value {'Hunter2!'} for it") if "Hunter2!" in desired.values() else FINE
    shown = str(asdict(planned("orderwise", running, desired, said, force=True)))
    assert "Hunter2!" not in shown
    assert "Qx7Zp" not in shown
