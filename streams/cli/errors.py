"""The one error contract of all commands: what happened, where, and what to do; never a trace for what was to be expected.

An error that is not known here is a defect, and keeps its trace.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.core.errors import ConfigurationError, OwddError, RefusedError

# Typer has it in a private module, or takes it from click; the base of a public one is the same.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is printed. ``where`` and ``remedy`` are parts of ``message`` again, for programs."""

    error: str
    message: str
    code: ExitCode
    where: str = ""
    remedy: str = ""


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Print an expected error, in one message or one JSON object, and exit with its code."""
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        end(Failure("Interrupted", "interrupted", ExitCode.INTERRUPTED), as_json=as_json)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does. Python would complain once more when it flushes at exit.
        sys.stdout = None
        sys.exit(ExitCode.ERROR)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        end(failure, as_json=as_json)


def failure_of(error: Exception) -> Failure | None:
    """How ``error`` is printed; None for a defect."""
    name = type(error).__name__
    if isinstance(error, _UsageError):
        return _of_use(error)
    if isinstance(error, OwddError):
        return Failure(name, str(error), _code(error), error.where, error.remedy)
    if "aiokafka" in sys.modules:
        from aiokafka.errors import KafkaError  # noqa: PLC0415 - too dear for commands that do not need Kafka

        if isinstance(error, KafkaError | TimeoutError):
            return _of_kafka(error)
    if "streams.dotdigital.errors" in sys.modules:
        from streams.dotdigital.errors import ConnectivityError, DotdigitalError  # noqa: PLC0415

        if isinstance(error, DotdigitalError):
            code = ExitCode.UNREACHABLE if isinstance(error, ConnectivityError) else ExitCode.ERROR
            return Failure(name, f"Dotdigital: {error}", code, "OWDD_DOTDIGITAL_URL")
    return None


def _of_kafka(error: Exception) -> Failure:
    from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError  # noqa: PLC0415

    where = "OWDD_KAFKA_BOOTSTRAP"
    if isinstance(error, KafkaConnectionError | KafkaTimeoutError | NodeNotReadyError | TimeoutError):
        remedy = f"Check {where}, and that the broker runs."
        message = f"Kafka: {str(error) or 'no answer in time'}. {remedy}"
        return Failure(type(error).__name__, message, ExitCode.UNREACHABLE, where, remedy)
    return Failure(type(error).__name__, f"Kafka: {type(error).__name__}: {error}", ExitCode.ERROR, where)


def _code(error: OwddError) -> ExitCode:
    if "streams.connect.connect_errors" in sys.modules:
        from streams.connect.connect_errors import ConnectUnreachable  # noqa: PLC0415

        if isinstance(error, ConnectUnreachable):
            return ExitCode.UNREACHABLE
    if "streams.kafka.access" in sys.modules:
        from streams.kafka.access import KafkaRefusedError  # noqa: PLC0415 - as above

        if isinstance(error, KafkaRefusedError):
            return ExitCode.UNREACHABLE
    if isinstance(error, ConfigurationError):
        return ExitCode.INVALID
    return ExitCode.REFUSED if isinstance(error, RefusedError) else ExitCode.ERROR


def _of_use(error: Any) -> Failure:
    """The command line itself is wrong."""
    where = error.ctx.command_path if error.ctx is not None else "owdd"
    remedy = f"See '{where} --help'."
    message = error.format_message()
    # Without arguments a group prints its help, and Typer leaves no message.
    text = f"{where}: {message} {remedy}" if message else ""
    return Failure("UsageError", text, ExitCode.INVALID, where, remedy)


def end(failure: Failure, *, as_json: bool) -> NoReturn:
    """Print a failure, and exit with its code."""
    if as_json:
        facts = {"error": failure.error, "message": failure.message, "where": failure.where, "remedy": failure.remedy}
        output.print_json({name: text for name, text in facts.items() if text} | {"exit": failure.code.name}, compact=True)
    elif failure.message:
        output.note(f"error: {failure.message}")
    sys.exit(failure.code)
