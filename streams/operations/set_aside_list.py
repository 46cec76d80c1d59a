"""Everything that is set aside, of every kind, in one list, each with its meaning and the command that settles it."""

from collections.abc import Iterator
from dataclasses import dataclass

from streams.mapping import Mapping
from streams.messages.contracts import AGENTS, Participant
from streams.operations.code_meanings import Kind, command, meaning
from streams.operations.dlq_entry import DeadLetterEntry
from streams.operations.held_documents import HeldDocument, without_address
from streams.operations.removals import held_removals
from streams.operations.state_client import StateClient, StateUnavailableError
from streams.operations.state_queries import HeldQuery, HeldReply
from streams.operations.trouble_class import TroubleClass
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SetAsideItem:
    """One thing, or of removals one kind of them.

    Attributes:
        kind: dead letter, parked, held, frozen, removals.
        code: the reason; of removals their kind.
        trouble: whose matter it is.
        what: the thing, without personal data.
        since: epoch ms.
        count: 1; of removals how many there are.
        words, remedy, command: what the code means, what to do, and the command that shows it.
        contact: keyed hash of the address that it is about; empty: none is known.
    """

    kind: Kind
    code: str
    trouble: TroubleClass
    what: str
    since: int
    count: int
    words: str
    remedy: str
    command: str
    contact: str = ""


async def set_aside(
    settings: Settings, mapping: Mapping, entries: list[DeadLetterEntry], state: StateClient | None, gaps: list[str]
) -> list[SetAsideItem]:
    """All of it, the oldest first: ``entries`` that are open, and held documents, from the workers through ``state``.

    What cannot be read is added to ``gaps``.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = [_of_entry(entry) for entry in entries]
    found += [_of_document(document) for document in await _held(settings, _tables(mapping), state, gaps)]
    found += [
        _item("removals", held.kind.value, f"{held.kind.value} of {held.present:,}", held.since, count=held.count)
        for held in await held_removals(settings)
    ]
    return sorted(found, key=lambda item: item.since)


def _tables(mapping: Mapping) -> list[str]:
    """The stages that may hold documents; that of products only where there are some."""
    return [stage.value for stage in AGENTS if stage is not Participant.PRODUCTS or mapping.products is not None]


async def _held(settings: Settings, tables: list[str], state: StateClient | None, gaps: list[str]) -> list[HeldDocument]:
    if state is None:
        gaps.append("Held documents: no workers are named. 'owdd state held' reads them from Kafka.")
        return []
    try:
        replies = await state.ask([HeldQuery()], "")
    except StateUnavailableError as error:
        gaps.append(f"Held documents: {error}.")
        return []
    gaps += [f"Held documents of {missing} are not known: no worker has them open." for missing in replies.missing(tables)]
    parts = replies.every(0, HeldReply)
    if any(part.more for part in parts):
        gaps.append("There are more held documents than are shown: see 'owdd state held'.")
    return list(_documents(settings, parts))


def _documents(settings: Settings, parts: list[HeldReply]) -> Iterator[HeldDocument]:
    hash_key = settings.hash_key.get_secret_value().encode()
    for part in parts:
        for row in part.rows:
            shown = without_address(row.table, row.key, hash_key)
            yield HeldDocument(row.table, shown, row.reason.code, row.reason.since, row.reason.frozen)


def _of_entry(entry: DeadLetterEntry) -> SetAsideItem:
    if entry.position.kind == "delivery":
        contact = "" if entry.stage == "catalogue" else entry.key_hash
        return _item("parked", entry.code, f"{entry.stage} · {entry.position}", entry.at, contact=contact)
    return _item("dead letter", entry.code, f"{entry.origin or entry.stage} · {entry.position}", entry.at)


def _of_document(document: HeldDocument) -> SetAsideItem:
    kind: Kind = "frozen" if document.frozen else "held"
    contact = document.key if document.table == "contacts" else ""
    return _item(kind, document.code, f"{document.table.removesuffix('s')} {document.key}", document.since, contact=contact)


def _item(kind: Kind, code: str, what: str, since: int, *, count: int = 1, contact: str = "") -> SetAsideItem:
    found = meaning(kind, code)
    return SetAsideItem(kind, code, found.trouble, what, since, count, found.words, found.remedy, command(kind, code), contact)
