"""Logs: structured, to standard error, without personal data (events carry codes, counts and keyed hashes only).

Everything goes through the root logger's one handler: our events, what libraries log, warnings, and the error that ends the
process. So each line has one form, and each line of a JSON log is JSON.
"""

import logging
import sys
import threading
from types import TracebackType

import structlog

from streams.core.text import printable, printable_lines

_OURS = ("streams", "testkit")


def _escape(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Control characters of values become escapes, so that a record's text can neither forge a line nor steer a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable_lines(value) if name == "exception" else printable(value)
    return event


def configure(level_name: str, *, as_json: bool) -> None:
    """Set up structlog and the standard library's logging once, at process start.

    Args:
        level_name: the least severe level of ours that is shown, in any casing; of libraries warnings are the least.
        as_json: one JSON object a line.
    """
    level = getattr(logging, level_name.upper())
    stamp: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*stamp, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _escape,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*stamp, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    sys.excepthook = _ended
    threading.excepthook = _thread_ended


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The error that ends the process is an event like any other."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger(__name__).critical("worker crashed", exc_info=(kind, error, trace))


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    exc_info = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    structlog.get_logger(__name__).critical("thread crashed", exc_info=exc_info)
