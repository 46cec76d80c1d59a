"""Kafka: whether it lets us in, whether the topics are as they should be, and whether anybody reads them."""

from collections.abc import AsyncIterator, Iterator
from collections.abc import Mapping as ReadOnly
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.core.errors import OwddError
from streams.ingest.captured_topics import check_spelling
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, dispatch_app
from streams.messages.protocol import specs
from streams.operations.doctor.findings import Finding, Patient, failed, ok
from streams.operations.lag_report import lag_report
from streams.operations.site_setup import changed_mapping
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings

_SHOWN = 4
_SAFE_REPLICAS = 2
_INSYNC = "min.insync.replicas"
_UNCLEAN = "unclean.leader.election.enable"
_LOSES = ("cleanup.policy", "retention.ms", "retention.bytes", "min.compaction.lag.ms", "partitions")
"""Differences by which records are lost, or a worker refuses to start."""


async def broker(patient: Patient) -> AsyncIterator[Finding]:
    """What the broker says; everything else that needs it comes after."""
    settings = patient.settings
    admin = client.admin_client(KafkaConfig.of(settings))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        brokers = len((await admin.describe_cluster())["brokers"])
        ours = [spec.name for spec in specs(settings, patient.mapping) if spec.name in existing]
        replicas = await _fewest_replicas(admin, ours)
        configs = await _configs(admin, ours)
    finally:
        await admin.close()
    yield ok("broker", f"{settings.kafka_bootstrap} lets us in ({settings.kafka_protocol})")
    if settings.replication < min(3, brokers):
        fix = "Set it to 3 before the topics are made; kafka-reassign-partitions changes existing ones"
        yield Finding("replication", "warn", f"OWDD_REPLICATION is {settings.replication}, with {brokers} brokers", fix)
    for finding in durability(replicas, configs):
        yield finding
    try:
        check_spelling(captured(patient.mapping), existing)
    except OwddError as error:
        yield failed("captured topics", error)
    for finding in _topics(await apply_topics(KafkaConfig.of(settings), [*specs(settings, patient.mapping)], execute=False)):
        yield finding


async def _fewest_replicas(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, int]:
    described = await admin.describe_topics(topics) if topics else []
    return {item["topic"]: min(len(part["replicas"]) for part in item["partitions"]) for item in described}


async def _configs(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    """The settings of each topic, the broker's defaults included."""
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics])
    resources = [resource for answer in answers for resource in answer.resources]
    return {resource[3]: {entry[0]: entry[1] for entry in resource[4]} for resource in resources}


def durability(replicas: ReadOnly[str, int], configs: ReadOnly[str, ReadOnly[str, str]]) -> Iterator[Finding]:
    """Whether the broker may lose what it has acknowledged.

    What a worker has written or read it misses. What the connector or a command wrote last, nobody does
    (docs/after-a-power-loss.md#what-no-worker-can-know).

    Args:
        replicas: of the partition of each topic that has the fewest.
        configs: of each topic.
    """
    if single := sorted(topic for topic, number in replicas.items() if number < _SAFE_REPLICAS):
        text = f"one replica: {_some(single)}; a power loss takes what was acknowledged last, and nothing shows it"
        fix = "Three brokers, OWDD_REPLICATION=3, OWDD_TOPIC_MIN_INSYNC=2; after a power loss run docs/after-a-power-loss.md"
        yield Finding("durability", "warn", text, fix)
    copied = {topic: config for topic, config in configs.items() if topic not in single}
    if few := sorted(topic for topic, config in copied.items() if int(config.get(_INSYNC, _SAFE_REPLICAS)) < _SAFE_REPLICAS):
        text = f"acknowledged with one copy on disk: {_some(few)}; {_INSYNC} is less than {_SAFE_REPLICAS}"
        yield Finding("durability", "warn", text, "Set OWDD_TOPIC_MIN_INSYNC=2", _alter(few[0], _INSYNC, str(_SAFE_REPLICAS)))
    if unclean := sorted(topic for topic, config in copied.items() if config.get(_UNCLEAN) == "true"):
        text = f"a replica that lags may become the leader: {_some(unclean)}; {_UNCLEAN} is true"
        yield Finding("durability", "fail", text, "Set it to false", _alter(unclean[0], _UNCLEAN, "false"))


def _topics(plan: list[dict[str, Any]]) -> Iterator[Finding]:
    missing = [item["topic"] for item in plan if item["action"] == "create"]
    if missing:
        text = f"{len(missing)} topics are missing: {_some(missing)}"
        yield Finding("topics", "fail", text, "Create them", "owdd topics apply --execute")
    for item in plan:
        for difference in item["differences"]:
            dangerous = difference.startswith(_LOSES)
            if difference.startswith("partitions"):
                fix, command = "Set OWDD_PARTITIONS to what the topics have; only a new OWDD_APP_ID can begin with another", ""
            else:
                wanted = difference.partition(": ")[0]
                fix, command = "Set it as specified", _alter(item["topic"], wanted, item["config"].get(wanted, ""))
            yield Finding("topics", "fail" if dangerous else "warn", f"{item['topic']}: {difference}", fix, command)
    if all(item["action"] == "ok" for item in plan):
        yield ok("topics", f"{len(plan)} are as specified")


def _alter(topic: str, name: str, value: str) -> str:
    return f"kafka-configs --alter --topic {topic} --add-config {name}={value}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


async def state(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the state was built with this mapping."""
    changed = await changed_mapping(patient.settings, patient.mapping)
    if changed:
        fix = "Rebuild, or accept the mapping where the old rows are right under it (docs/operations.md#changing-the-mapping)"
        yield Finding("mapping", "fail", f"state was built with another mapping: {_some(changed)} changed", fix)
    else:
        yield ok("mapping", "state was built with it, or there is none yet")


async def readers(patient: Patient) -> AsyncIterator[Finding]:
    """Whether workers are in their groups."""
    members: dict[str, int] = {}
    behind: dict[str, int] = {}
    for lag in await lag_report(patient.settings, patient.mapping):
        members[lag.group] = lag.members
        behind[lag.group] = behind.get(lag.group, 0) + lag.records
    for group, count in members.items():
        if not count:
            fix = "Start workers; a rebuild or a changed OWDD_APP_VERSION makes new groups"
            text = f"nobody is in group {group}, and {behind[group]:,} records wait"
            yield Finding("workers", "warn", text, fix, "owdd run")
    if all(members.values()):
        yield ok("workers", f"every group has members; {sum(behind.values()):,} records wait")
    for finding in comparison(patient.settings, members.get(dispatch_app(patient.settings), 0)):
        yield finding


def comparison(settings: Settings, dispatching: int) -> Iterator[Finding]:
    """Whether so many workers of dispatch can compare Dotdigital with what was delivered: one reads what the others have."""
    needed = {"OWDD_WORKERS": settings.workers, "OWDD_STATE_TOKEN": settings.state_token.get_secret_value()}
    missing = [name for name, value in needed.items() if not value]
    if dispatching > 1 and missing:
        text = f"{dispatching} workers run dispatch: without {' and '.join(missing)} none of them can compare Dotdigital"
        yield Finding("comparison", "warn", text, "Give every worker both (docs/reconcile.md)")
