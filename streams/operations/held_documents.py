"""Which documents are held or frozen, why and since when, read from the changelogs of the agents' state."""

from dataclasses import dataclass

from streams.agents.held import PREFIX, decode_reason
from streams.domain.buyers import is_person
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.messages.contracts import AGENTS, Participant
from streams.messages.dead_letters import keyed_hash
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """One document that cannot be worked out.

    Attributes:
        table: the stage that has it: `orders`, `buyers`, `contacts` or `products`.
        key: an order, an account (`c` and its id) or a variant; of a person the keyed hash of the address.
        code: the reason, as in ``owdd_held`` and ``owdd_frozen``.
        since: epoch milliseconds.
        frozen: it was published before, and its last state stays.
    """

    table: str
    key: str
    code: str
    since: int
    frozen: bool


async def held_documents(settings: Settings) -> list[HeldDocument]:
    """All of them, the oldest first.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    hash_key = settings.hash_key.get_secret_value().encode()
    found: list[HeldDocument] = []
    for stage in AGENTS:
        rows: dict[str, bytes] = {}
        async for record in read_topic(KafkaConfig.of(settings), tables(settings)[stage], range(settings.partitions)):
            if record.key is None or not record.key.startswith(PREFIX.encode()):
                continue
            if record.value is None:
                rows.pop(record.key.decode(), None)
            else:
                rows[record.key.decode()] = record.value
        for key, value in rows.items():
            reason = decode_reason(value)
            shown = without_address(stage.value, key.removeprefix(PREFIX), hash_key)
            found.append(HeldDocument(stage.value, shown, reason.code, reason.since, reason.frozen))
    return sorted(found, key=lambda document: document.since)


def without_address(table: str, key: str, hash_key: bytes) -> str:
    """The document's key; of a person the keyed hash of the address."""
    if table == Participant.CONTACTS.value:
        return keyed_hash(key.encode(), hash_key)
    return keyed_hash(key[1:].encode(), hash_key) if table == Participant.BUYERS.value and is_person(key) else key
