"""``owdd topics``: create what is missing, say what differs, change nothing unasked."""

import asyncio
from typing import Annotated, Any

import orjson
import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from streams.cli.common import guarded, load
from streams.topics import TopicSpec, specs

app = typer.Typer(help="Kafka topics of the product.", no_args_is_help=True)


@app.command()
def apply(
    execute: Annotated[
        bool, typer.Option("--execute/--dry-run", help="Create what is missing; default: only show.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Compare the topics with what they should be, and create the missing ones.

    Topics that exist with other partitions are never touched: the count is fixed for the life of the state. Exit code 0:
    everything is as it should be (now); 2: something differs or, without --execute, is missing.
    """
    with guarded():
        settings, mapping = load()
        plan = asyncio.run(apply_topics(settings.kafka_bootstrap, list(specs(settings, mapping)), execute=execute))
    if as_json:
        typer.echo(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(plan)
    if any(item["action"] in ("create", "differs") for item in plan):
        raise typer.Exit(2)


async def apply_topics(bootstrap: str, wanted: list[TopicSpec], *, execute: bool) -> list[dict[str, Any]]:
    """The plan, and what came of it: ``action`` is ``ok``, ``differs``, ``create`` (dry run) or ``created``.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be reached or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        found = {
            item["topic"]: item
            for item in await admin.describe_topics([spec.name for spec in wanted if spec.name in existing])
        }
        missing = [spec for spec in wanted if spec.name not in existing]
        if missing and execute:
            new = [
                NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=spec.config) for spec in missing
            ]
            answer = await admin.create_topics(new, timeout_ms=30_000)
            failed = [f"{name}: {message}" for name, code, message in answer.topic_errors if code]
            if failed:
                raise KafkaError("; ".join(failed))
        configs = await _configs(admin, [spec for spec in wanted if spec.name in existing])
        return [_item(spec, found.get(spec.name), configs.get(spec.name, {}), execute=execute) for spec in wanted]
    finally:
        await admin.close()


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


def _show(plan: list[dict[str, Any]]) -> None:
    table = Table("topic", "action", "partitions", "what for", "settings / differences")
    for item in plan:
        facts = item["differences"] or [f"{key}={value}" for key, value in item["config"].items()]
        table.add_row(item["topic"], item["action"], str(item["partitions"]), item["purpose"], "\n".join(facts))
    Console().print(table)
