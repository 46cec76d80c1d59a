"""The scripts by name, in the order in which a site uses them."""

from collections.abc import Callable, Collection

from streams.connect.sql.disable import disable
from streams.connect.sql.discovery import discovery
from streams.connect.sql.enable import enable
from streams.connect.sql.login import login
from streams.connect.sql.preflight import preflight
from streams.connect.sql.rotate import rotate
from streams.core.errors import ConfigurationError
from streams.mapping import Mapping
from streams.settings import Settings

SCRIPTS: dict[str, Callable[[Mapping, Settings], str]] = {
    "discovery": lambda mapping, _: discovery(mapping),
    "preflight": preflight,
    "enable": lambda mapping, _: enable(mapping),
    "login": login,
    "rotate": lambda mapping, _: rotate(mapping),
    "disable": disable,
}
"""How to write each script."""


def script(name: str, mapping: Mapping, settings: Settings, tables: Collection[str] = ()) -> str:
    """One script; ``rotate`` may be narrowed to some tables.

    Raises:
        ConfigurationError: no such script, tables given for another script than ``rotate``, or names that cannot be used.
    """
    if name not in SCRIPTS:
        raise ConfigurationError(f"there is no script {name!r}; there are {', '.join(SCRIPTS)}")
    if tables and name != "rotate":
        raise ConfigurationError(f"{name}.sql is for all tables of the mapping; only rotate.sql accepts --table")
    return rotate(mapping, tables) if tables else SCRIPTS[name](mapping, settings)
