"""Settings from a file of variables, for those who run without a supervisor that sets them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.core.errors import ConfigurationError

_USUAL = Path(".env")
_PREFIX = "OWDD_"


@contextmanager
def env_file_loaded(given: Path | None) -> Iterator[None]:
    """Put the ``OWDD_…`` variables of a file into the environment for as long as the block lasts; those set already stay.

    Other variables are left out: a ``.env`` beside ``docker-compose.yml`` has some that are Compose's.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    file = given or (_USUAL if _USUAL.is_file() else None)
    added = _variables(file) if file is not None else {}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _variables(file: Path) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - only where there is such a file

    try:
        found = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {type(error).__name__}", where=str(file)) from None
    return {name: value for name, value in found.items() if name.startswith(_PREFIX) and value and name not in os.environ}
