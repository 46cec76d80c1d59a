"""A captured row, and the command line beside a stack."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from streams.cli import app
from testkit.demo.stack import LocalStack

Event = tuple[str, bytes, bytes]
"""Table, key and value of a captured record."""


def event(table: str, key: dict[str, int], row: dict[str, Any], lsn: int) -> Event:
    source = {"connector": "sqlserver", "table": table, "commit_lsn": f"00000001:00000001:{lsn:04x}", "ts_ms": 1}
    value = {"before": None, "after": key | row, "source": source | {"snapshot": "false"}, "op": "u", "ts_ms": 1}
    return table, orjson.dumps(key), orjson.dumps(value)


def account(number: int, lsn: int = 1) -> Event:
    row = {"cd_ow_account": None, "cd_account_customer": False, "cd_statement_email": None, "cd_invoice_email": None}
    return event("customer_detail", {"cd_id": number}, row, lsn)


async def happen(running: LocalStack, name: str, *events: Event) -> None:
    async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
        for table, key, value in events:
            await producer.send_and_wait(f"{name}.Orderwise.dbo.{table}", value, key)


async def owdd(running: LocalStack, *arguments: str, **variables: str) -> Result:
    """Run a command beside the workers, with ``variables`` of its own."""
    environment = {name: value for name, value in running.environment.items() if name.startswith("OWDD_")}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment | variables)


async def start(running: LocalStack, *arguments: str) -> Process:
    """A command in a process of its own, which may be killed."""
    command = (sys.executable, "-m", "streams", *arguments)
    return await asyncio.create_subprocess_exec(*command, env=running.environment, stdout=PIPE, stderr=PIPE)


async def listed(running: LocalStack, count: int, *options: str) -> list[dict[str, Any]]:
    """What ``owdd dlq list`` prints, once there are ``count`` letters."""
    while True:
        result = await owdd(running, "dlq", "list", "--json", *options)
        assert result.exit_code == 0, result.output
        found: list[dict[str, Any]] = orjson.loads(result.stdout)
        if len(found) >= count:
            return found
