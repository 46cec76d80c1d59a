"""The options by which ``owdd dlq list``, ``retry`` and ``drop`` choose entries, checked before Kafka is asked."""

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer

from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.dispatch.outbox.parked import ParkedTask
from streams.operations.dlq_entry import INGEST_STAGE, KINDS, EntryKind
from streams.operations.dlq_filter import Filter, key_hashes
from streams.settings import Settings

STAGES = (INGEST_STAGE, "orders", "buyers", "contacts", "products", "outbox", *get_args(ParkedTask))
"""The stages that dead-letter records, and the kinds of delivery that are parked."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Filters:
    """As the operator gave them; those that were not given choose everything."""

    kind: Annotated[str | None, typer.Option("--kind", help="ingest (records) or delivery (parked). Default: both.")] = None
    stage: Annotated[str | None, typer.Option("--stage", help=f"The stage or kind of delivery: {', '.join(STAGES)}.")] = None
    code: Annotated[str | None, typer.Option("--code", help="Only entries with this code.")] = None
    key: Annotated[
        str | None, typer.Option("--key", help="Only entries of this e-mail or row key. It is hashed, never stored or logged.")
    ] = None
    age: Annotated[str | None, typer.Option("--age", help="Only entries at least this old: 90s, 30m, 12h, 7d.")] = None
    since: Annotated[str | None, typer.Option("--since", help="Only entries set aside from this time on: ISO 8601, UTC.")] = (
        None
    )
    until: Annotated[str | None, typer.Option("--until", help="Only entries set aside until this time: ISO 8601, UTC.")] = None

    @property
    def given(self) -> bool:
        """Whether anything was given at all."""
        return any(getattr(self, item.name) is not None for item in fields(self))

    def selection(self, settings: Settings, limit: int | None = None) -> Filter:
        """The filter that they mean; at most ``limit`` entries.

        Raises:
            ConfigurationError: one of them has a value that means nothing.
        """
        if self.stage not in (None, *STAGES):
            raise ConfigurationError(f"it must be one of {', '.join(STAGES)}", where=f"--stage {self.stage}")
        hash_key = settings.hash_key.get_secret_value().encode()
        ends = [end for end in (_millis(self.until), _old(self.age)) if end is not None]
        return Filter(
            kind=_kind(self.kind),
            stage=self.stage,
            code=self.code,
            keys=None if self.key is None else key_hashes(self.key, hash_key),
            since=_millis(self.since),
            until=min(ends, default=None),
            limit=limit,
        )


def _kind(text: str | None) -> EntryKind | None:
    for kind in KINDS:
        if kind == text:
            return kind
    if text is not None:
        raise ConfigurationError(f"it must be one of {', '.join(KINDS)}", where=f"--kind {text}")
    return None


def _old(age: str | None) -> int | None:
    if age is None:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhd])", age)
    if found is None:
        raise ConfigurationError("write it as 90s, 30m, 12h or 7d", where=f"--age {age}")
    return SystemClock().now_ms() - int(found[1]) * _UNITS[found[2]] * 1000


def _millis(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError("not a time; write it as 2026-11-23T14:00", where=text) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
