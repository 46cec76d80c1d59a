"""A site to render for: the default mapping, one that differs from it, and settings that no environment changes."""

from collections.abc import Mapping as Changes
from typing import Any

from streams.mapping import Mapping, load_mapping
from streams.settings import Settings

MAPPING = load_mapping()


def mapping(**sections: Changes[str, Any]) -> Mapping:
    """The default mapping with some keys of some sections changed; ``order_header`` is ``order.header``."""
    data = MAPPING.model_dump(by_alias=True)
    for name, changes in sections.items():
        outer, _, inner = name.partition("_")
        section = data[outer][inner] if inner else data[outer]
        section.update(changes)
    return Mapping.model_validate(data)


def settings(**changes: Any) -> Settings:
    """The default settings, some of them changed."""
    defaults = {name: info.default for name, info in Settings.model_fields.items()}
    return Settings.model_construct(**(defaults | changes))
