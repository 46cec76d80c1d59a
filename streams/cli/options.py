"""Options that several commands share, declared once."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any


def with_options(options: type, parameter: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of a dataclass as options of its own; it gets them in one object as ``parameter``."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = [
            inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.type)
            for item in fields(options)
        ]
        own = [
            part.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for part in inspect.signature(command).parameters.values()
            if part.name != parameter
        ]

        def spread(**given: Any) -> None:
            chosen = options(**{item.name: given.pop(item.name) for item in fields(options)})
            command(**given, **{parameter: chosen})

        spread.__name__, spread.__doc__ = command.__name__, command.__doc__
        spread.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]  # inspect honours it
        spread.__annotations__ = {}
        return spread

    return decorate
