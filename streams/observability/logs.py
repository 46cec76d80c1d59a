"""Logs: structured, to standard error, without personal data (events carry codes, counts and keyed hashes only)."""

import logging
import sys

import structlog


def configure(level_name: str, *, as_json: bool) -> None:
    """Set up structlog and the standard library's root logger once, at process start.

    Args:
        level_name: the least severe level shown, in any casing.
        as_json: one JSON object a line.
    """
    level = getattr(logging, level_name.upper())
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
