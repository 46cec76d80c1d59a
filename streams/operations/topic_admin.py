"""Compare the broker's topics with the specification: create missing ones, report differences, change nothing else."""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, KafkaTimeoutError
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec

_LISTED_SECONDS = 120.0


async def apply_topics(kafka: KafkaConfig, wanted: list[TopicSpec], *, execute: bool) -> list[dict[str, Any]]:
    """The plan and its result: ``action`` is ``ok``, ``differs``, ``create`` (dry run) or ``created``.

    Topics that were created are there for every client when this returns.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be reached or refuses.
    """
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        found = {
            item["topic"]: item for item in await admin.describe_topics([spec.name for spec in wanted if spec.name in existing])
        }
        missing = [spec for spec in wanted if spec.name not in existing]
        if missing and execute:
            new = [NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=spec.config) for spec in missing]
            answer = await admin.create_topics(new, timeout_ms=30_000)
            failed = [f"{name}: {message}" for name, code, message in answer.topic_errors if code]
            if failed:
                raise KafkaError("; ".join(failed))
            await _until_listed(admin, {spec.name for spec in missing})
        configs = await _configs(admin, [spec for spec in wanted if spec.name in existing])
        return [_item(spec, found.get(spec.name), configs.get(spec.name, {}), execute=execute) for spec in wanted]
    finally:
        await admin.close()


async def _until_listed(admin: AIOKafkaAdminClient, created: set[str]) -> None:
    """Wait until the broker names the topics: its controller answers a creation before the broker itself has learned of it.

    A worker that is started meanwhile would refuse to start without its topics.
    """

    async def unlisted() -> set[str]:
        # Not list_topics: that is every topic of a cluster which others may use too.
        return {item["topic"] for item in await admin.describe_topics(sorted(created)) if item["error_code"]}

    waiting = AsyncRetrying(retry=retry_if_result(bool), wait=wait_fixed(0.05), stop=stop_after_delay(_LISTED_SECONDS))
    try:
        await waiting(unlisted)
    except RetryError as error:
        raise KafkaTimeoutError("topics were created, but the broker does not list them") from error


async def _configs(admin: AIOKafkaAdminClient, wanted: list[TopicSpec]) -> dict[str, dict[str, str]]:
    if not wanted:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in wanted])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for resource in answer.resources:
            found[resource[3]] = {entry[0]: entry[1] for entry in resource[4]}
    return found


def _item(spec: TopicSpec, found: dict[str, Any] | None, config: dict[str, str], *, execute: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "topic": spec.name,
        "purpose": spec.purpose,
        "partitions": spec.partitions,
        "config": spec.config,
    }
    if found is None:
        return item | {"action": "created" if execute else "create", "differences": []}
    differences = []
    if len(found["partitions"]) != spec.partitions:
        differences.append(f"partitions: {len(found['partitions'])} instead of {spec.partitions}")
    differences += [
        f"{key}: {config.get(key)} instead of {value}" for key, value in spec.config.items() if config.get(key) != value
    ]
    return item | {"action": "differs" if differences else "ok", "differences": differences}
