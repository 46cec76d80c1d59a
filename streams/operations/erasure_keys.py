"""Erasures by the key that their digests were made with, and the way from former keys to the one in use.

The address of an erasure is gone. Its new digest is made from the former one (:class:`streams.domain.digester.Digester`), so
that whoever has only the former key can no longer find out whether an address is in the topic.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.core.clock import Clock
from streams.domain.digester import Digester
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import ErasuresRekeyed
from streams.messages.audit_log import AuditLog
from streams.messages.changes import partition_of
from streams.messages.erasure_requests import ErasureRequest, ErasureRequests, read_erasure_request
from streams.messages.topics import Topics
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class ErasureKeys:
    """The erasures that the topic has: how many were made with each key id, the oldest key first, the one in use last.

    The last of ``counts`` is the key in use.
    """

    counts: Mapping[str, int]
    former: Mapping[bytes, ErasureRequest]


async def erasure_keys(settings: Settings) -> ErasureKeys:
    """What topic ``erasures`` holds.

    Raises:
        ConfigurationError: somebody was erased under a key that this process does not have.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    digester = Digester(*settings.erasure_keys)
    requests: dict[bytes, ErasureRequest] = {}
    async for record in read_topic(KafkaConfig.of(settings), Topics.of(settings.app_id).erasures, range(settings.partitions)):
        if record.value is None:
            requests.pop(record.key, None)
        else:
            requests[record.key] = read_erasure_request(record.value)
    ages = {digest: digester.age(request.key_id) for digest, request in requests.items()}
    found = Counter(ages.values())
    newest = len(digester.key_ids) - 1
    former = {digest: request for digest, request in requests.items() if ages[digest] != newest}
    return ErasureKeys({key_id: found[age] for age, key_id in enumerate(digester.key_ids)}, former)


async def rekey(settings: Settings, found: ErasureKeys, operator: str, clock: Clock, progress: Callable[[int], None]) -> None:
    """Bring all erasures under the key in use. Workers may run, and it may be interrupted and repeated.

    The audit trail gets it first.

    Raises:
        aiokafka.errors.KafkaError: the broker did not acknowledge.
    """
    digester, topics = Digester(*settings.erasure_keys), Topics.of(settings.app_id)
    async with BatchProducer(settings) as producer:
        entry = ErasuresRekeyed(clock.now_ms(), operator, digester.key_id, len(found.former))
        await AuditLog.of(settings, producer).write(entry, digester.key_id.encode())
        erasures = ErasureRequests(producer, topics, settings.partitions)
        for done, (digest, request) in enumerate(found.former.items(), 1):
            # First the new one: at no moment is nobody recognised by it.
            renewed = ErasureRequest(request.at, request.by, digester.key_id)
            await erasures.remember(digester.rekeyed(digest, request.key_id), renewed)
            await producer.send_one(topics.erasures, partition_of(digest.hex(), settings.partitions), digest, None)
            progress(done)
