"""Operations of several calls: read and plan, change and wait for the result.

Kafka Connect accepts a change at once and acts later. Until then it shows the former state of the tasks. So a result counts
only after it has been unchanged for a while. Right after its creation a connector does not exist yet (404).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tenacity import AsyncRetrying, retry_if_result, stop_before_delay

from streams.connect.connect_errors import ConnectorMissing, ConnectUnreachable
from streams.connect.lint import lint
from streams.connect.plan import Plan, planned
from streams.connect.render import Config
from streams.connect.responses import Status
from streams.connect.rest import ConnectClient
from streams.core.backoff import RetryPolicy, last_result
from streams.core.errors import ConfigurationError

_POLL_SECONDS: Final = 0.25
# Each validation makes the worker connect to the database, which may take its full minute; so the waits between are short.
_AGAIN: Final = RetryPolicy(2.0, 15.0)


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """Seconds: the longest wait for a result, and the time for which a result must be unchanged before it counts.

    A task that fails in its first seconds (wrong permissions, missing tables) is RUNNING until then.
    """

    longest: float = 60.0
    lasting: float = 3.0


async def healthy(client: ConnectClient, patience: WaitLimits) -> None:
    """Wait until the worker is ready.

    Raises:
        ConnectUnreachable: it was not, in time.
    """
    deadline = _now() + patience.longest
    while True:
        try:
            return await client.health()
        except ConnectUnreachable:
            if _now() > deadline:
                raise
        await asyncio.sleep(_POLL_SECONDS)


async def running_config(client: ConnectClient, name: str) -> Config | None:
    """The running configuration; None if there is no such connector."""
    try:
        return await client.config(name)
    except ConnectorMissing:
        return None


async def plan_for(client: ConnectClient, name: str, desired: Config, *, force: bool) -> Plan:
    """Compare ``desired`` with the running configuration, and let the plugin validate it.

    Raises:
        ConfigurationError: the plugin that it names is not installed.
        ConnectError: the worker cannot be asked.
    """
    running = await running_config(client, name)
    # Validating with a plugin that is not installed gives a stack trace instead of a list of errors.
    plugin = desired.get("connector.class", "")
    installed = [found.cls for found in await client.plugins()]
    if plugin not in installed:
        raise ConfigurationError(
            f"connector.class {plugin!r} is not installed in the worker; installed are {', '.join(installed)}"
        )
    validation = await client.validate({**desired, "name": name})
    unknown = tuple(str(finding) for finding in lint(desired))
    return planned(name, running, desired, validation, unknown, force=force)


async def plan_when_reachable(client: ConnectClient, name: str, desired: Config, *, force: bool, patience: WaitLimits) -> Plan:
    """As :func:`plan_for`, repeated while an unreachable database is the only obstacle."""
    plan: Plan = await AsyncRetrying(
        sleep=asyncio.sleep,
        retry=retry_if_result(lambda plan: plan.unreachable and not (plan.problems or plan.refused)),
        wait=_AGAIN.wait(Random()),
        stop=stop_before_delay(patience.longest),
        retry_error_callback=last_result,
    )(plan_for, client, name, desired, force=force)
    return plan


def ended(status: Status) -> bool:
    """Whether a change has a result, good or bad: everything runs, something failed, or somebody has halted it."""
    return status.running or bool(status.failed) or status.halted


def all_are(state: str) -> Callable[[Status], bool]:
    """The result that every part is in ``state``."""
    return lambda status: all(part.state == state for part in status.parts())


async def wait_for(client: ConnectClient, name: str, end: Callable[[Status], bool], patience: WaitLimits) -> Status:
    """The status, once ``end`` is true of it and it has not changed for ``patience.lasting``.

    After ``patience.longest`` the last status is returned, whether ``end`` is true or not: the caller reports it.

    Raises:
        ConnectorMissing: there is no such connector, not even in the end.
        ConnectError: the worker cannot be asked.
    """
    deadline, seen, since = _now() + patience.longest, None, _now()
    while True:
        try:
            status = await client.status(name)
        except ConnectorMissing:
            if _now() > deadline:
                raise
            status = None
        if status != seen:
            seen, since = status, _now()
        if seen is not None and ((end(seen) and _now() - since >= patience.lasting) or _now() > deadline):
            return seen
        await asyncio.sleep(_POLL_SECONDS)


def _now() -> float:
    return asyncio.get_running_loop().time()
