"""The common base of the mapping's parts: unknown keys are errors; column names and text values have one form."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$#@]{0,127}$")]
"""A SQL Server regular identifier; anything else is refused before it can reach SQL or a topic name."""


class MappingPart(BaseModel):
    """A part of the mapping. Unknown keys are errors: a misspelt key would otherwise leave a default in force."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def folded(value: object) -> object:
    """Before validation: keys trimmed and case-folded."""
    if isinstance(value, dict):
        found = [(str(key).strip().casefold(), item) for key, item in value.items()]
        names = [name for name, _ in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice} are listed twice, in different spellings")
        return dict(found)
    return value


def texts(value: object) -> object:
    """Before validation: each item as text, trimmed and case-folded."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_text(item) for item in value]
    return value


def _text(value: object) -> object:
    # YAML reads an unquoted true as a boolean and 1 as a number; a consent value is compared as text.
    return str(value).strip().casefold() if isinstance(value, bool | int | str) else value
