"""The first needs of every command: settings, mapping, and the operator's name."""

import getpass

from streams.core.errors import ConfigurationError
from streams.mapping import Mapping, load_mapping
from streams.settings import Settings, load_settings


def load() -> tuple[Settings, Mapping]:
    """Settings from the environment, and the mapping that they name.

    Raises:
        ConfigurationError: either is wrong.
    """
    settings = load_settings()
    return settings, load_mapping(settings.mapping)


def operator_name(given: str | None) -> str:
    """The operator: the ``given`` name, else the system's user.

    Raises:
        ConfigurationError: the system knows no name for its user.
    """
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("the system has no name for this user", remedy="Give your name with --operator") from None
