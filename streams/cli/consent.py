"""``owdd consent``: whom a consent column concerns, before it is mapped or its words are changed."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson
from streams.core.errors import ConfigurationError
from streams.dispatch.policies import client_config
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from streams.operations.consent_preview import CHANGING, Concerned, Effect, concerned, read_account, read_rows
from streams.operations.systems_audit.database import audit_database
from streams.operations.systems_audit.gather import TableFacts
from streams.settings import Settings

app = command_group("Consent: whom a newly mapped opt-in would change.")


@app.callback()
def _group() -> None:
    """Consent: whom a newly mapped opt-in would change."""


@app.command()
def preview(
    most: Annotated[int, typer.Option("--most", min=0, help="Show so many people of each kind.")] = 20,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Addresses and words, not the keyed hashes of addresses alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the captured contact rows, by the mapping's consent column and exclusions, with the account. Changes nothing.

    Set OWDD_MAPPING to the new mapping; its column must be captured. The account is read by calls of 5,000 contacts each.

    Exit code 0: nobody is changed by the words; 2: somebody is, or a person must decide.

    Examples: OWDD_MAPPING=new.yaml owdd consent preview · owdd consent preview --json --most 0
    """
    settings, mapping = load()
    if mapping.consent.mode != "column":
        raise ConfigurationError("consent.mode is not column, so no words are read", where="mapping.yaml")
    with audit_database(mapping) as database:
        facts = asyncio.run(_read(settings, mapping, database))
        hash_key = None if show_personal_data else settings.hash_key.get_secret_value().encode()
        counts, shown = _summary(concerned(database, mapping.exclude.shared_by), most, hash_key)
    unreadable = sum((one.unreadable for one in facts), Counter[str]())
    if as_json:
        output.print_json({"rows": facts[0].rows, "unreadable": dict(unreadable), "effects": counts, "people": shown})
    else:
        output.print_table(
            ("effect", "what it is", "people"), [(effect, effect.meaning, f"{counts[effect]:,}") for effect in Effect]
        )
        output.print_table(("effect", "who", "is", "unknown words"), [tuple(person.values()) for person in shown])
        for code, count in unreadable.items():
            output.warn(f"{count:,} captured records cannot be read ({code})")
    if any(counts[effect] for effect in CHANGING):
        raise typer.Exit(ExitCode.CHANGES)


async def _read(settings: Settings, mapping: Mapping, database: sqlite3.Connection) -> list[TableFacts]:
    with output.progress("reading contacts and accounts") as shown:
        facts = await read_rows(
            KafkaConfig.of(settings), mapping, database, lambda read, total: shown(f"read {read:,} of {total:,} records")
        )
    with output.progress("reading the account") as shown:
        async with DotdigitalClient(client_config(settings), unobserved) as client:
            await read_account(client.contacts_since(None), database, lambda read: shown(f"read {read:,} contacts"))
    return facts


def _summary(people: Iterable[Concerned], most: int, hash_key: bytes | None) -> tuple[dict[Effect, int], list[dict[str, Any]]]:
    """How many people there are of each effect, and the first of them, by keyed hashes unless there is no ``hash_key``."""
    counts: Counter[Effect] = Counter()
    shown = []
    for person in people:
        counts[person.effect] += 1
        if person.effect in CHANGING and counts[person.effect] <= most:
            shown.append(_shown(person, hash_key))
    return {effect: counts[effect] for effect in Effect}, shown


def _shown(person: Concerned, hash_key: bytes | None) -> dict[str, Any]:
    facts = asdict(person)
    who = person.address if hash_key is None else keyed_hash(person.address.encode(), hash_key)
    words = facts["words"] if hash_key is None else ""
    return {"effect": person.effect, "who": who, "status": person.status or "not there", "words": words}
