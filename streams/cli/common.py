"""Shared by all commands: load settings and mapping, and turn errors into one line and an exit code."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from aiokafka.errors import KafkaError

from streams.core.errors import ConfigurationError, OwddError
from streams.dotdigital.errors import DotdigitalError
from streams.mapping import Mapping, load_mapping
from streams.settings import Settings, load_settings

FAILED = 1


def load() -> tuple[Settings, Mapping]:
    """Return the settings from the environment, and the mapping that they name.

    Raises:
        ConfigurationError: either is wrong.
    """
    settings = load_settings()
    return settings, load_mapping(settings.mapping)


def operator_name(given: str | None) -> str:
    """Return the name of the operator: the name that was ``given``, otherwise the system's user.

    Raises:
        ConfigurationError: the system has no name for its user.
    """
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("the system has no name for this user: give your name with --operator") from None


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
