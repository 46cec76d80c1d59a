"""The options by which ``owdd replay records`` selects rows."""

from dataclasses import dataclass, fields
from typing import Annotated

import typer

from streams.cli.times import millis
from streams.core.errors import ConfigurationError
from streams.messages.replays import ReplaySelection
from streams.operations.dlq_filter import key_hashes
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class ReplayFilters:
    """As the operator gave them; all that were given must apply."""

    table: Annotated[list[str] | None, typer.Option("--table", help="Only rows of this table; may be repeated.")] = None
    topic: Annotated[str | None, typer.Option("--topic", help="Only records of this captured topic.")] = None
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Only records of this partition.")] = None
    first: Annotated[int | None, typer.Option("--from-offset", min=0, help="Only records from this offset on.")] = None
    last: Annotated[int | None, typer.Option("--to-offset", min=0, help="Only records up to this offset.")] = None
    since: Annotated[str | None, typer.Option("--since", help="Only records from this time on: ISO 8601, UTC.")] = None
    until: Annotated[str | None, typer.Option("--until", help="Only records until this time: ISO 8601, UTC.")] = None
    key: Annotated[str | None, typer.Option("--key", help="Only rows with this key. It is hashed, never stored or logged.")] = (
        None
    )
    email: Annotated[
        str | None, typer.Option("--email", help="Only rows that name this address. It is hashed, never stored or logged.")
    ] = None
    order: Annotated[int | None, typer.Option("--order", help="Only rows of this order or credit note, by its id.")] = None
    customer: Annotated[int | None, typer.Option("--customer", help="Only rows of this customer, by its id.")] = None
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Only rows that have an open dead letter of ingest.")] = (
        False
    )
    code: Annotated[list[str] | None, typer.Option("--code", help="Only dead letters with this code; may be repeated.")] = None

    @property
    def given(self) -> bool:
        """Whether anything was given at all."""
        return any(getattr(self, item.name) != item.default for item in fields(self))

    def selection(self, settings: Settings) -> ReplaySelection:
        """The rows that they mean.

        Raises:
            ConfigurationError: one of them has a value that means nothing, or two exclude each other.
        """
        if self.key is not None and self.email is not None:
            raise ConfigurationError("give one of --key and --email", where="owdd replay records")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigurationError("--from-offset is behind --to-offset", where="owdd replay records")
        named = self.key if self.email is None else self.email
        hash_key = settings.hash_key.get_secret_value().encode()
        letters = tuple(self.code or ()) if self.dead_letters or self.code else None
        return ReplaySelection(
            tables=tuple(self.table or ()),
            topic=self.topic,
            partition=self.partition,
            first=self.first,
            last=self.last,
            since=millis(self.since),
            until=millis(self.until),
            keys=() if named is None else tuple(sorted(key_hashes(named, hash_key))),
            order=self.order,
            customer=self.customer,
            dead_letters=letters,
        )
