"""Logs: structured, to standard error, without personal data (events carry codes, counts and keyed hashes only).

Everything goes through the root logger's one handler: our events, what libraries log, warnings, and the error that ends the
process. So each line has one form, and each line of a JSON log is JSON.
"""

import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType

import structlog

from streams.core.text import printable, printable_lines

_OURS = ("streams", "testkit")
_QUIET_SECONDS = 30.0
_PATTERNS = 1000


class Repeats(logging.Filter):
    """Lets a message of a library through once in 30 seconds, with the number of those that it kept back meanwhile.

    While a broker is away, aiokafka logs every attempt of every client to reach it: hundreds of lines a second, in which nobody
    finds what matters. Messages are the same if logger, level and text are, whatever is filled in. Ours are never kept back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._kept_back: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show it."""
        if record.name.partition(".")[0] in _OURS:
            return True
        kind = record.name, record.levelno, str(record.msg)
        now = self._now()
        shown, kept_back = self._kept_back.pop(kind, (-_QUIET_SECONDS, 0))
        if now - shown < _QUIET_SECONDS:
            self._kept_back[kind] = shown, kept_back + 1
            return False
        self._kept_back[kind] = now, 0
        if len(self._kept_back) > _PATTERNS:
            # The one that came least lately; texts that a library puts together itself would else pile up.
            self._kept_back.popitem(last=False)
        if kept_back:
            record.msg, record.args = f"{record.getMessage()} ({kept_back:,} more like it before)", None
        return True


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
    handler.addFilter(Repeats())
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
