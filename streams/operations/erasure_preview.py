"""The data of a person before an erasure, read from topics: enough to check the address, without naming the person."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from streams.domain.contact_projection import ContactRow
from streams.domain.digester import Digester
from streams.engine.unit_of_work import Codec
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.messages.changes import partition_of
from streams.messages.contributions import BuyerContribution
from streams.messages.dead_letters import keyed_hash
from streams.messages.erasure_requests import ErasureRequest, read_erasure_request
from streams.messages.topics import Topics
from streams.settings import Settings

_CONTACTS = Codec("c", ContactRow)


@dataclass(frozen=True, slots=True)
class ErasurePreview:
    """One person: ``buyers`` have the address now; ``asked`` says when the erasure was last asked for, if it was."""

    hash: str
    digest: str
    buyers: int
    asked: ErasureRequest | None


async def preview(settings: Settings, addresses: Iterable[str], digest: Digester) -> list[ErasurePreview]:
    """The content of the contacts stage and of the topic of erasures for ``addresses``.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    asked: dict[bytes, ErasureRequest] = {}
    async for record in read_topic(KafkaConfig.of(settings), Topics.of(settings.app_id).erasures, range(settings.partitions)):
        if record.value is None:
            asked.pop(record.key, None)
        else:
            asked[record.key] = read_erasure_request(record.value)
    wanted: dict[int, list[str]] = defaultdict(list)
    for address in addresses:
        wanted[partition_of(address, settings.partitions)].append(address)
    hash_key = settings.hash_key.get_secret_value().encode()
    found = []
    for partition, here in wanted.items():
        buyers = await _buyers(settings, partition, here)
        for address in here:
            before = next((asked[mark] for mark in digest.all(address) if mark in asked), None)
            name = keyed_hash(address.encode(), hash_key)
            found.append(ErasurePreview(name, digest(address).hex(), buyers.get(address, 0), before))
    return found


async def _buyers(settings: Settings, partition: int, addresses: list[str]) -> dict[str, int]:
    keys = {_CONTACTS.key(address): address for address in addresses}
    found: dict[str, int] = {}
    async for record in read_topic(KafkaConfig.of(settings), tables(settings)["contacts"], [partition]):
        if record.key in keys:
            row = ContactRow() if record.value is None else _CONTACTS.decode(record.value)
            found[keys[record.key]] = sum(isinstance(cell.row, BuyerContribution) for cell in row.parts.values())
    return found
