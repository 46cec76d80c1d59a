"""What every command does the same way: load settings and mapping, and turn errors into one line and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from aiokafka.errors import KafkaError

from streams.dotdigital.errors import DotdigitalError
from streams.errors import OwddError
from streams.mapping import Mapping, load_mapping
from streams.settings import Settings, load_settings

FAILED = 1


def load() -> tuple[Settings, Mapping]:
    """Settings from the environment, and the mapping that they name.

    Raises:
        ConfigurationError: either is wrong.
    """
    settings = load_settings()
    return settings, load_mapping(settings.mapping)


@contextmanager
def guarded() -> Iterator[None]:
    """Print an expected error as one message and end with exit code 1; anything else is a defect and keeps its trace."""
    try:
        yield
    except OwddError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except DotdigitalError as error:
        typer.echo(f"error: Dotdigital: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except KafkaError as error:
        typer.echo(f"error: Kafka: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(FAILED) from error
