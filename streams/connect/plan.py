"""The plan of applying a configuration, and whether it is allowed: pure, from the responses of a worker.

Differences and messages are masked here, so that no caller of this module has a secret to print.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from streams.connect.masking import masked, masked_key, scrubbed
from streams.connect.render import Config
from streams.connect.responses import Validation

IDENTITY: Final = {
    "connector.class": "the offsets are another connector's",
    "topic.prefix": "offsets, topics and the schema history are kept under it",
    "schema.history.internal.kafka.topic": "without its history the connector cannot continue",
    "database.names": "a database that is left out or renamed leaves its offsets behind",
    "database.dbname": "offsets and replication slot belong to one database",
    "slot.name": "the database keeps changes for the slot, and a new one starts from now",
}
"""The properties that identify a connector, each with the damage of a change."""

# Debezium reports every failure of its trial connection as an error of the host (``validateConnection`` of its connectors),
# also if the database answered and refused the login. Only the text distinguishes the two, and waiting helps only the first.
_CONNECTION_ERROR: Final = re.compile(
    r"unable to connect|connection validation|while validating connector config", re.IGNORECASE
)
_PERMANENT_ERROR: Final = re.compile(
    r"login failed|cannot open database|password authentication|no pg_hba|does not exist|certificate|PKIX", re.IGNORECASE
)
_HOST: Final = "database.hostname"


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that would change, as it may be shown; None where there is none."""

    key: str
    running: str | None
    desired: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that would be made.

    Attributes:
        name: the connector's.
        action: ``none`` if the running configuration is the desired one.
        differences: by property, masked.
        problems: errors of the configuration; it cannot be applied.
        unreachable: why the worker could not reach the database; waiting may help.
        refused: changes of the connector's identity that were not forced.
    """

    name: str
    action: Literal["create", "update", "none"]
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether the plan can be executed."""
        return not (self.problems or self.unreachable or self.refused)


def planned(
    name: str,
    running: Config | None,
    desired: Config,
    validation: Validation,
    unknown: tuple[str, ...] = (),
    *,
    force: bool = False,
) -> Plan:
    """The plan that turns ``running`` (None: there is no such connector) into ``desired``.

    Args:
        name: the connector's.
        running: the worker's configuration.
        desired: the configuration that it should have.
        validation: the plugin's validation of ``desired``.
        unknown: the lint's findings in ``desired``.
        force: allow a change of the connector's identity.
    """
    found = tuple(_differences(running or {}, desired))
    action: Literal["create", "update", "none"] = "create" if running is None else "update" if found else "none"
    problems, unreachable = classify_errors(validation, desired)
    refused = () if force or running is None else tuple(_identity_changes(running, desired))
    return Plan(name, action, found, (*unknown, *problems), unreachable, refused)


def classify_errors(validation: Validation, desired: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plugin's errors: those of the configuration, and those of a database that does not answer."""
    problems: list[str] = []
    unreachable: list[str] = []
    for key, errors in validation.errors.items():
        for error in errors:
            waiting_helps = key == _HOST and _CONNECTION_ERROR.search(error) and not _PERMANENT_ERROR.search(error)
            (unreachable if waiting_helps else problems).append(f"{masked_key(key)}: {scrubbed(error, desired)}")
    # Debezium leaves out some internal properties; an error of one of them must not pass for success.
    if validation.error_count and not validation.errors:
        problems.append(f"the plugin reports {validation.error_count} errors without their text; see the worker's log")
    return tuple(problems), tuple(unreachable)


def _differences(running: Config, desired: Config) -> Iterator[Difference]:
    # The worker adds the connector's name to the configuration that it was given.
    for key in sorted((running.keys() | desired.keys()) - {"name"}):
        old, new = running.get(key), desired.get(key)
        if old != new:
            shown = [None if value is None else masked(key, value) for value in (old, new)]
            yield Difference(masked_key(key), *shown)


def _identity_changes(running: Config, desired: Config) -> Iterator[str]:
    for key, reason in IDENTITY.items():
        old, new = running.get(key), desired.get(key)
        if old is not None and _names(old) != _names(new or ""):
            yield f"{key}: {old} -> {new}: {reason}"


def _names(value: str) -> frozenset[str]:
    """The names in a list. Their order has no meaning, so another order is no change of identity."""
    return frozenset(name.strip() for name in value.split(","))
