"""Logs: structured, to standard error, without personal data (events carry codes, counts and keyed hashes only)."""

import logging
import sys

import structlog

from streams.core.text import printable, printable_lines


class _EscapingFormatter(logging.Formatter):
    """Of what libraries log, only line breaks reach the log as they are: their traces have some."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def _escape(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Control characters of values become escapes, so that a record's text can neither forge a line nor steer a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable_lines(value) if name == "exception" else printable(value)
    return event


def configure(level_name: str, *, as_json: bool) -> None:
    """Set up structlog and the standard library's root logger once, at process start.

    Args:
        level_name: the least severe level shown, in any casing.
        as_json: one JSON object a line.
    """
    level = getattr(logging, level_name.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_EscapingFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
