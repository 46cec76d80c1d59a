"""The responses of Kafka Connect, as far as we read them. Members that a newer worker adds are ignored.

Shapes observed on Connect 4.3.0 (resources of ``connect/runtime/…/rest`` in apache/kafka).
"""

from collections.abc import Iterator
from typing import Any

import msgspec


class Part(msgspec.Struct, frozen=True):
    """The connector itself, or one of its tasks (``id``); ``trace`` is the Java stack trace of a failure."""

    state: str
    worker_id: str = ""
    trace: str = ""
    id: int | None = None

    @property
    def name(self) -> str:
        """``connector``, or ``task 0``."""
        return "connector" if self.id is None else f"task {self.id}"

    def reasons(self, most: int = 4) -> list[str]:
        """The lines of the trace that give the reason, without stack frames."""
        lines = [line.strip() for line in self.trace.splitlines() if line.strip()]
        return [line for line in lines if not line.startswith(("at ", "... "))][:most]


class Status(msgspec.Struct, frozen=True):
    """A connector and its tasks, as the workers last reported them."""

    name: str
    connector: Part
    tasks: tuple[Part, ...] = ()

    def parts(self) -> Iterator[Part]:
        """The connector, then its tasks."""
        yield self.connector
        yield from self.tasks

    @property
    def failed(self) -> list[Part]:
        """The parts that have failed. A connector can be RUNNING while its task is FAILED."""
        return [part for part in self.parts() if part.state == "FAILED"]

    @property
    def running(self) -> bool:
        """Whether everything runs; a connector without tasks captures nothing."""
        return bool(self.tasks) and all(part.state == "RUNNING" for part in self.parts())

    @property
    def halted(self) -> bool:
        """Whether the connector was paused or stopped on purpose."""
        return self.connector.state in ("PAUSED", "STOPPED")


class Offset(msgspec.Struct, frozen=True):
    """The position in one source partition (for SQL Server: a database); None after a reset."""

    partition: dict[str, Any]
    offset: dict[str, Any] | None = None


class Offsets(msgspec.Struct, frozen=True):
    """All committed offsets of a connector."""

    offsets: tuple[Offset, ...] = ()


class CheckedValue(msgspec.Struct, frozen=True):
    """One property, with the plugin's errors about it."""

    name: str
    errors: tuple[str, ...] = ()


class CheckedProperty(msgspec.Struct, frozen=True):
    """The wrapper around a checked property; empty for some of Debezium's internal ones when others have errors."""

    value: CheckedValue | None = None


class Validation(msgspec.Struct, frozen=True):
    """The plugin's validation of a configuration: the HTTP status is always 200; ``error_count`` 0 means valid."""

    error_count: int
    configs: tuple[CheckedProperty, ...] = ()

    @property
    def errors(self) -> dict[str, tuple[str, ...]]:
        """The errors by property."""
        return {item.value.name: item.value.errors for item in self.configs if item.value and item.value.errors}


class Plugin(msgspec.Struct, frozen=True, rename={"cls": "class"}):
    """An installed plugin."""

    cls: str
    type: str
    version: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The body of an error."""

    message: str = ""
