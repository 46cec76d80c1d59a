"""Errors of ``owdd connectors``: one message or one JSON object, and the exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import typer
from aiokafka.errors import KafkaError

from streams.cli.connector_reports import ExitCode
from streams.connect.connect_errors import ConnectUnreachable
from streams.core.errors import ConfigurationError, OwddError


@contextmanager
def coded(as_json: bool) -> Iterator[None]:
    """Give errors their exit code, and with ``--json`` their object."""
    try:
        yield
    except ConnectUnreachable as error:
        _fail(error, str(error), ExitCode.UNREACHABLE, as_json)
    except (KafkaError, TimeoutError) as error:
        _fail(error, f"Kafka: {str(error) or 'no answer in time'}", ExitCode.UNREACHABLE, as_json)
    except ConfigurationError as error:
        _fail(error, str(error), ExitCode.INVALID, as_json)
    except OwddError as error:
        _fail(error, str(error), ExitCode.ERROR, as_json)


def _fail(error: Exception, message: str, code: ExitCode, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps({"error": type(error).__name__, "message": message, "exit": code.name}).decode())
    else:
        typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code) from error
