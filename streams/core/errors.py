"""Errors that an operator sees.

    OwddError
    ├── ConfigurationError      settings or mapping: fix the file named, start again
    │   └── MappingError
    ├── RefusedError            it would do harm as things are: settle what the message names first
    ├── RecordError             one record cannot be used: it goes to the dead-letter topic with ``code``
    └── CircuitOpenError        nearly every record fails: the worker stops before it drains the topic

Kafka Connect's errors and those of the local programs branch off here (``streams.connect.connect_errors``,
``testkit.local_services.start_errors``); the Dotdigital client has a tree of its own (``streams.dotdigital.errors``).
"""

from streams.core.text import printable


class OwddError(Exception):
    """Base of every error with a message meant for the operator: what happened, where, and what to do.

    ``where`` names the setting, file, topic or process; ``remedy`` is a sentence. Either may be empty where the message itself
    has it. The text of the error is all three.
    """

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(f"{f'{where}: ' if where else ''}{message}{f'. {remedy}' if remedy else ''}")
        self.where = where
        self.remedy = remedy


class RefusedError(OwddError):
    """What was asked for is not done now, because it would do harm; the message says what has to be settled first."""


class ConfigurationError(OwddError):
    """Settings or mapping cannot be used as they are."""


class MappingError(ConfigurationError):
    """``mapping.yaml`` is wrong; the message gives file, line and field."""


class RecordError(OwddError):
    """A record that cannot be processed.

    ``code`` is stable and documented in ``docs/dead-letters.md``; ``detail`` names the column or the rule, never the value.
    """

    def __init__(self, code: str, detail: str) -> None:
        # A column's name comes with the record: it goes to log, dead letter and terminal, and must not break a line there.
        detail = printable(detail)
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class TooLargeError(RecordError):
    """A record that is sound, but one thing would have too much with it. It says nothing against the release or the stream."""


class CircuitOpenError(OwddError):
    """Too large a share of recent records was dead-lettered."""
