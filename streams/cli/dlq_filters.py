"""The options by which ``owdd dlq list``, ``retry`` and ``drop`` choose entries, checked before Kafka is asked."""

from dataclasses import dataclass, fields
from typing import Annotated, get_args

import typer

from streams.cli.times import age_ms, millis
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.dispatch.outbox.parked import ParkedTask
from streams.operations.dlq_entry import INGEST_STAGE, KINDS, EntryKind
from streams.operations.dlq_filter import Filter, key_hashes
from streams.settings import Settings

STAGES = (INGEST_STAGE, "orders", "buyers", "contacts", "products", "outbox", *get_args(ParkedTask))
"""The stages that dead-letter records, and the kinds of delivery that are parked."""


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
        ends = [end for end in (millis(self.until), _old(self.age)) if end is not None]
        return Filter(
            kind=_kind(self.kind),
            stage=self.stage,
            code=self.code,
            keys=None if self.key is None else key_hashes(self.key, hash_key),
            since=millis(self.since),
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
    return None if age is None else SystemClock().now_ms() - age_ms(age, "--age")
