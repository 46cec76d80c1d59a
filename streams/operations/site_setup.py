"""Compares what state was built with, as topic ``setup`` has it, with what this process would go on with."""

from collections.abc import Iterable
from importlib.metadata import version
from itertools import islice

import structlog
from aiokafka import TopicPartition

from streams.core.clock import Clock
from streams.core.errors import ConfigurationError, RefusedError
from streams.domain.digester import Digester
from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.mapping import Mapping
from streams.mapping.fingerprint import changed_keys, fingerprint, needs_rebuild
from streams.messages.site_setup import (
    ERASURE_KEY,
    FORMATS,
    PARTITION,
    KeySetup,
    StateSetup,
    read_key_setup,
    read_state_setup,
    state_key,
    write_setup,
)
from streams.messages.topics import Topics
from streams.settings import Settings

log = structlog.get_logger()

_SHOWN = 3


async def check_setup(settings: Settings, mapping: Mapping, clock: Clock) -> None:
    """Let the process go on with the state that is there, and note what it goes on with.

    Raises:
        RefusedError: state was built with another mapping, in another format, or by a release that noted neither.
        ConfigurationError: erasures were made with a key that this process does not have.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    # Before the set-up is read: another worker that begins now writes its set-up before any state.
    stored = await _stored(settings)
    found = await _records(settings)
    before, now = _state_of(found, settings), _state_now(mapping, clock)
    digester = Digester(*settings.erasure_keys)
    key = read_key_setup(found[ERASURE_KEY]) if ERASURE_KEY in found else None
    if before is not None:
        _check_formats(before)
        _check_mapping(settings, before, now)
    elif stored:
        # A release before 0.2.0 wrote them, or topic setup was emptied: nobody knows with which mapping they were built.
        reason = f"there are rows in {_some(stored)}, but topic setup has no mapping and format for them"
        raise RefusedError(reason, where="Kafka", remedy=f"{_REBUILD}; {_ACCEPT}")
    if key is not None:
        _check_key(settings, key, digester)
    entries: list[tuple[bytes, bytes]] = []
    if before is None or (before.mapping, before.formats) != (now.mapping, now.formats):
        entries.append((state_key(settings.app_version, settings.generation), write_setup(now)))
    if key is None or key.id != digester.key_id:
        entries.append((ERASURE_KEY, write_setup(KeySetup(clock.now_ms(), digester.key_id))))
    if entries:
        await _write(settings, entries)
        # Not for commands: on their standard output is what they print, and nothing else.
        log.info("set-up noted", keys=[key.decode() for key, _ in entries])


async def check_erasure_key(settings: Settings) -> None:
    """Let a command make or read erasures: with another key it would name people by digests that no worker understands.

    Raises:
        ConfigurationError: the site's erasures are made with a key that this process does not have.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = await _records(settings)
    if ERASURE_KEY in found:
        _check_key(settings, read_key_setup(found[ERASURE_KEY]), Digester(*settings.erasure_keys))


async def changed_mapping(settings: Settings, mapping: Mapping) -> list[str]:
    """The keys of the mapping on which stored rows depend, and that changed since.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    before = _state_of(await _records(settings), settings)
    return [] if before is None else _rebuilt_for(before.mapping, fingerprint(mapping))


async def has_setup(settings: Settings) -> bool:
    """Whether it is noted what the state is built with.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    return _state_of(await _records(settings), settings) is not None


async def differing_keys(settings: Settings, mapping: Mapping) -> list[str]:
    """The keys in which the mapping differs from the one that state was built with, all of them.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    before = _state_of(await _records(settings), settings)
    return [] if before is None else changed_keys(before.mapping, fingerprint(mapping))


async def is_built_with(settings: Settings, mapping: Mapping) -> bool:
    """Whether it is noted that the state is built with that mapping, to the last key.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    before = _state_of(await _records(settings), settings)
    return before is not None and before.mapping == fingerprint(mapping)


async def accept_mapping(settings: Settings, mapping: Mapping, clock: Clock) -> None:
    """Let workers go on with state that was built with another mapping.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    await _write(settings, [(state_key(settings.app_version, settings.generation), write_setup(_state_now(mapping, clock)))])


async def _stored(settings: Settings) -> list[str]:
    """The changelogs of this version of the state that have records; the outbox's is older than a generation of the joins."""
    consumer = client.consumer(KafkaConfig.of(settings))
    async with consumer:
        logs = [log for table, log in tables(settings).items() if table != "outbox" or not settings.generation]
        places = [TopicPartition(name, each) for name in logs for each in range(settings.partitions)]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return sorted({place.topic for place in places if ends[place] > begins[place]})


async def _records(settings: Settings) -> dict[bytes, bytes]:
    topic = Topics.of(settings.app_id).setup
    return {record.key: record.value async for record in read_topic(KafkaConfig.of(settings), topic, [PARTITION])}


def _state_of(found: dict[bytes, bytes], settings: Settings) -> StateSetup | None:
    value = found.get(state_key(settings.app_version, settings.generation))
    return None if value is None else read_state_setup(value)


def _state_now(mapping: Mapping, clock: Clock) -> StateSetup:
    return StateSetup(at=clock.now_ms(), release=version("owdd"), formats=FORMATS, mapping=fingerprint(mapping))


async def _write(settings: Settings, entries: list[tuple[bytes, bytes]]) -> None:
    topic = Topics.of(settings.app_id).setup
    async with BatchProducer(settings) as producer:
        for key, value in entries:
            await producer.send_one(topic, PARTITION, key, value)


def _check_formats(before: StateSetup) -> None:
    other = sorted(name for name, number in before.formats.items() if FORMATS.get(name) != number)
    if not other:
        return
    newer = any(before.formats[name] > FORMATS.get(name, 0) for name in other)
    remedy = f"Run owdd {before.release} or a later release" if newer else _REBUILD
    reason = f"state was written by owdd {before.release}, in another format ({', '.join(other)})"
    raise RefusedError(reason, where="Kafka", remedy=remedy)


def _check_key(settings: Settings, key: KeySetup, digester: Digester) -> None:
    if key.id in digester.key_ids:
        return
    where = "OWDD_ERASURE_KEY" if settings.erasure_key.get_secret_value() else "OWDD_ERASURE_KEY (empty: OWDD_HASH_KEY)"
    remedy = "Set it to that key; to change it, add the old one to OWDD_FORMER_ERASURE_KEYS"
    raise ConfigurationError(f"is not the key {key.id} by which erased people are recognised", where=where, remedy=remedy)


def _check_mapping(settings: Settings, before: StateSetup, now: StateSetup) -> None:
    if not (changed := _rebuilt_for(before.mapping, now.mapping)):
        return
    file = f"OWDD_MAPPING {settings.mapping}" if settings.mapping else "OWDD_MAPPING"
    reason = f"state was built with another mapping: {_some(changed)} changed"
    remedy = f"{_REBUILD_BESIDE}; or take the change back; {_ACCEPT}"
    raise RefusedError(reason, where=file, remedy=remedy)


_REBUILD_BESIDE = "Rebuild beside the old one: 'owdd replay rebuild --mapping'"
_REBUILD = "Rebuild: 'owdd topics clear --execute', a higher OWDD_APP_VERSION, 'owdd topics apply --execute'"
_ACCEPT = "'owdd state accept' goes on with rows as the old mapping read them"


def _rebuilt_for(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [key for key in changed_keys(before, now) if needs_rebuild(key)]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(islice(listed, _SHOWN)) + more
