"""No log of any process names a person, at debug level, on a day on which everything goes wrong."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from streams.mapping import load_mapping
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services.ports import free_port
from testkit.simulate import read_truth
from tests.capture.records import CUSTOMER, encoded, message
from tests.convergence.convergence_harness import simulate, stack
from tests.patience import PATIENCE

TOKEN = "a token of this test, of 32 characters"
REFUSED = "late@nobody.example"
COMMANDS = (
    ("doctor",),
    ("audit",),
    ("dlq", "list"),
    ("state", "held"),
    ("person", "export", "ADDRESS", "--file", "FILE"),
    ("contact", "show", "ADDRESS"),
    ("replay", "records", "--email", "ADDRESS"),
)


async def test_no_log_names_anybody_on_a_bad_day_in_workers_commands_and_console(tmp_path: Path, broker: Path) -> None:
    variables: dict[str, Any] = {
        "OWDD_LOG_LEVEL": "debug",
        "OWDD_LOG_JSON": "true",
        "OWDD_STATE_TOKEN": TOKEN,
        "OWDD_CONSOLE_TOKEN": TOKEN,
        "OWDD_READBACK_SECONDS": "2",
        "OWDD_IMPORT_LEAST": "5",
        "OWDD_IMPORT_SECONDS": "0.05",
        "OWDD_IMPORT_POLL": "0.5",
    }
    async with stack(tmp_path, broker, "named", consent=True, **variables) as running:
        workers = [await running.start_worker(role) for role in Role]
        running.reconfigure({"OWDD_WORKERS": ",".join(f"127.0.0.1:{worker.port}" for worker in workers)})
        await bad_day(running)
        truth = read_truth(tmp_path / "truth.json")
        rows = [row for table in truth.tables.values() for row in table.values()]
        texts = {value.strip().lower() for row in rows for value in row.values() if isinstance(value, str)}
        addresses = {text for text in texts if re.fullmatch(r"[a-z0-9.]+@[a-z0-9.-]+", text)}
        someone = sorted(addresses)[0]
        meant = {"ADDRESS": someone, "FILE": str(tmp_path / "export.json")}
        await asyncio.gather(*(run(running, [meant.get(word, word) for word in command]) for command in COMMANDS))
        async with console(running) as http:
            found = await http.post("/contact", data={"q": someone})
            assert someone in found.text.lower()
            for page in ("/", "/set-aside", f"/contact/{someone}"):
                await http.get(page)
    logs = {file.stem: file.read_text() for file in tmp_path.glob("*.log") if file.stem not in ("sandbox", "simulate")}
    assert logs.keys() >= {*Role, "console", *("-".join(command[:2]) for command in COMMANDS)}
    events = [json.loads(line) for name in (*Role, "console") for line in logs[name].splitlines()]
    assert {event["level"] for event in events} >= {"debug", "info", "error"}
    assert len(addresses) > 20
    assert [
        (name, address) for name, text in logs.items() for address in (*addresses, REFUSED) if address in text.lower()
    ] == []


async def bad_day(running: LocalStack) -> None:
    """A shop at work while calls fail; then rows that cannot be read, and one that Dotdigital refuses."""
    sandbox = f"{running.settings.dotdigital_url}/_sandbox"
    faults = {"http_503": 0.05, "http_429": 0.05, "lost_reply": 0.05, "import_partial": 0.5, "reset_seconds": 1}
    httpx.post(f"{sandbox}/faults", json=faults).raise_for_status()
    await simulate(running, customers=20, orders=40, rate=0, duplicates=0.1, consent=True)
    httpx.post(f"{sandbox}/faults", json=dict.fromkeys(faults, 0)).raise_for_status()
    await running.settled()
    # Somebody empties the account, data fields and all: what is sent from now on is refused.
    httpx.post(f"{sandbox}/reset").raise_for_status()
    row = CUSTOMER | {"cd_id": 90_001, "cd_statement_email": REFUSED}
    spoilt = CUSTOMER | {"cd_id": 90_002, "cd_statement_email": "ann at nobody.example", "cd_invoice_email": REFUSED}
    topic = load_mapping(running.mapping).topic("customer_detail")
    async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
        await producer.send(topic, f'{{"not json", "{REFUSED}"'.encode(), b'{"cd_id": 1}')
        await producer.send(topic, encoded(message("customer_detail", after=row)), b'{"cd_id": 90001}')
        await producer.send(topic, encoded(message("customer_detail", after=spoilt)), b'{"cd_id": 90002}')
        await producer.flush()
    async with asyncio.timeout(PATIENCE):
        while not all([await counted(running, name) for name in ("owdd_parked_total", "owdd_dead_letters_total")]):
            await asyncio.sleep(0.2)  # it polls the metrics of three workers


async def counted(running: LocalStack, name: str) -> float:
    return sum(value for (found, _), value in (await running.scrape()).items() if found == name)


async def run(running: LocalStack, words: list[str]) -> None:
    """One command; what it logs is kept, and what it prints for the person who asked is not."""
    with (running.directory / f"{'-'.join(words[:2])}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams", *words), env=running.environment, stdout=subprocess.DEVNULL, stderr=log
        )
        await process.wait()
    assert process.returncode in (0, 2, 5), (words, process.returncode)


@asynccontextmanager
async def console(running: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """The console in a process of its own, somebody signed in."""
    port = free_port()
    with (running.directory / "console.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams", "console", "--port", str(port)), env=running.environment, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=60) as http:
            async with asyncio.timeout(PATIENCE):
                while not await answers(http):
                    assert process.returncode is None, "the console did not start"
                    await asyncio.sleep(0.1)  # it polls a process that starts
            await http.post("/sign-in", data={"token": TOKEN})
            yield http
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/live")).is_success
    except httpx.HTTPError:
        return False
