"""How a person's erasure is asked for: two records that may be written any number of times."""

from collections.abc import Iterable

import msgspec

from streams.core.lanes import Lane
from streams.kafka.producer import BatchProducer
from streams.messages.changes import EraseAddress, partition_of
from streams.messages.kinds import ErasureChange
from streams.messages.topics import Topics


class ErasureRequest(msgspec.Struct, frozen=True, gc=False):
    """Value of a record of topic ``erasures``, whose key is the digest: when it was asked for, and by whom.

    ``key_id`` names the key that made the digest; releases before ids wrote none.
    """

    at: int
    by: str
    key_id: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ErasureRequest).decode


def erasure_of(address: str, digest: bytes, now_ms: int) -> ErasureChange:
    """The change that starts an erasure, for topic ``contacts``."""
    return ErasureChange(address, 0, b"", Lane.URGENT, now_ms, EraseAddress(digest))


def read_erasure_request(value: bytes) -> ErasureRequest:
    """What a record of topic ``erasures`` says.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decode(value)


class ErasureRequests:
    """Appends requests."""

    def __init__(self, producer: BatchProducer, topics: Topics, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._partitions = partitions

    async def remember(self, digest: bytes, asked: ErasureRequest) -> None:
        """Have ingest empty whatever names the person from now on.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        place = partition_of(digest.hex(), self._partitions)
        await self._producer.send_one(self._topics.erasures, place, digest, _encode(asked))

    async def start(self, erasure: ErasureChange, generations: Iterable[int]) -> None:
        """Have every stage of the joins, in each of the generations, and Dotdigital forget the person.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        value, place = self._topics.contacts.pack([erasure]), partition_of(erasure.key, self._partitions)
        for generation in sorted(generations):
            await self._producer.send_one(self._topics.of_generation(generation).contacts, place, None, value)
