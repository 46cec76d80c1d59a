"""Settings from a file of variables, for those who run without a supervisor that sets them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.core.errors import ConfigurationError

_USUAL = Path(".env")
_PREFIX = "OWDD_"
_REMEDY = "Write one NAME=value on a line"


@contextmanager
def env_file_loaded(given: Path | None) -> Iterator[None]:
    """Put the ``OWDD_…`` variables of a file into the environment for as long as the block lasts; those set already stay.

    Other variables are left out: a ``.env`` beside ``docker-compose.yml`` has some that are Compose's.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it is no variable.
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
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only where there is such a file

    found: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8") as stream:
            for line in parse_stream(stream):
                # Never with its text: it may be a secret.
                if line.error or (line.key is not None and line.value is None):
                    raise ConfigurationError("is no variable", where=f"{file}:{line.original.line}", remedy=_REMEDY)
                if line.key and line.key.startswith(_PREFIX) and line.value:
                    found[line.key] = line.value
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(file), remedy=_REMEDY) from None
    except UnicodeDecodeError:
        raise ConfigurationError("is not UTF-8 text", where=str(file), remedy=_REMEDY) from None
    return {name: value for name, value in found.items() if name not in os.environ}
