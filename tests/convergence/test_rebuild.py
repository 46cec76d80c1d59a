"""The joins anew beside those that work, on a real broker: what is equal costs no call, and exactly what differs is sent."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx
import orjson
import yaml

from streams.cli.exit_codes import ExitCode
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.frozen_orders import BARRIER_KEY
from streams.messages.generation_log import known_generations
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.simulate import read_truth
from testkit.soak.generations import COMMAND, Generations
from tests.convergence.convergence_harness import lasting, simulate, stack, verdict
from tests.dlq.commands import happen, start

PATIENCE = ("--timeout", "600")


async def replay(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    return await command(running, "replay", *arguments)


async def command(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    process = await start(running, *arguments, "--json")
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, orjson.loads(out)


def calls_that_write(running: LocalStack) -> list[str]:
    found = httpx.get(f"{running.settings.dotdigital_url}/_sandbox/requests", params={"limit": 1_000_000}).json()
    return [f"{call['method']} {call['path']}" for call in found["requests"] if call["method"] != "GET"]


def held_by_dotdigital(running: LocalStack) -> dict[tuple[str, str], dict[str, Any]]:
    """Data fields, status and lists of every contact, and every record."""
    with httpx.Client(base_url=running.settings.dotdigital_url) as http:
        contacts = http.get("/_sandbox/state").json()["contacts"]
        collections = http.get("/_sandbox/records").json()["collections"]
    shown = {
        ("contact", one["email"]): one["dataFields"] | {"status": one["status"], "lists": one["lists"]} for one in contacts
    }
    return shown | {(each["name"], one["key"]): one["json"] for each in collections for one in each["records"]}


def differing(before: dict[tuple[str, str], Any], after: dict[tuple[str, str], Any]) -> Counter[tuple[str, str]]:
    """How many contacts, or records of a collection, differ in a field."""
    assert before.keys() == after.keys()
    return Counter(
        (what, name)
        for (what, key), one in before.items()
        for name in one.keys() | after[what, key].keys()
        if one.get(name) != after[what, key].get(name)
    )


async def settled(running: LocalStack, *generations: int) -> None:
    """Wait until the workers of every one of these generations have read everything, and all of it is sent; no difference."""
    for generation in generations:
        running.reconfigure({"OWDD_GENERATION": str(generation)})
        await running.settled()
    running.reconfigure({"OWDD_GENERATION": "0"})
    differences, *_ = verdict(running)
    assert lasting(differences) == []


def changed_mapping(running: LocalStack) -> Path:
    """One field of every contact with an order differs, and every catalogue record."""
    data = yaml.safe_load(running.mapping.read_text("utf-8"))
    data["exclude_days"] = 45
    data["delivery"]["catalogue"]["url"] = "https://new.example/{code}/{sku}"
    other = running.directory / "other.yaml"
    other.write_text(yaml.safe_dump(data), "utf-8")
    return other


async def freeze(running: LocalStack, name: str) -> None:
    """Delete what every status means: orders stay as they are, and only their frozen facts say so from now on."""
    source = {"connector": "sqlserver", "table": "order_status", "commit_lsn": "ffffffff:ffffffff:ffff", "ts_ms": 1}
    for key in read_truth(running.directory / "truth.json").tables["order_status"]:
        row = {"os_id": int(key)}
        gone = {"before": row, "after": None, "source": source | {"snapshot": "false"}, "op": "d", "ts_ms": 1}
        await happen(running, name, ("order_status", orjson.dumps(row), orjson.dumps(gone)))


async def frozen_facts(running: LocalStack, partitions: int = 2) -> int:
    """How many records topic ``frozen-orders`` has, but for barriers."""
    topic = Topics.of(running.settings.app_id).frozen_orders
    records = read_topic(KafkaConfig.of(running.settings), topic, range(partitions))
    return len([record async for record in records if record.key != BARRIER_KEY])


async def test_a_rebuild_of_the_same_beside_live_traffic_costs_no_call_nor_does_the_way_back_whoever_dies(
    tmp_path: Path, broker: Path
) -> None:
    async with stack(tmp_path, broker, "rebuild", partitions=2) as running:
        for role in Role:
            await running.start_worker(role)
        generations = Generations(running, Random(5))
        feeding = asyncio.create_task(simulate(running, seed=70, customers=25, orders=60, duplicates=0.1, rate=100))
        # A command that dies leaves a generation that the next one goes on with.
        code, found = await generations.insist(lambda _: False, "rebuild", "--timeout", "0", "--execute", victims=[COMMAND])
        assert (code, found["generation"], found["done"], found["activation"]) == (ExitCode.UNFINISHED, 1, False, None)
        names = await generations.start(1, running.mapping)
        everybody = [*names, *(role.value for role in Role), COMMAND]
        await generations.insist(generations.complete(1), "rebuild", *PATIENCE, victims=everybody)
        await feeding
        await settled(running, 0, 1)
        before = calls_that_write(running)

        code, found = await replay(running, "rebuild", *PATIENCE)
        assert (code, found["differences"]["changes"]) == (0, {}), found
        assert found["differences"]["compared"] > 40
        switch = ("rebuild", *PATIENCE, "--execute")
        await generations.insist(generations.active(1), *switch, victims=["dispatch", COMMAND])
        await settled(running, 0, 1)
        await repeated(running, switch, {"generation": 1, "done": True, "differences": None, "activation": 1})
        assert [(one["id"], one["state"]) for one in (await replay(running, "status"))[1]] == [("generation 1", "active")]
        await generations.insist(generations.active(0), "back", "--execute", victims=[COMMAND, "dispatch"])
        await settled(running, 0, 1)
        await repeated(running, ("back", "--execute"), {"generation": 0, "activation": 2})
        await repeated(running, switch, {"generation": 0, "done": True, "differences": None, "activation": 2})
        assert await replay(running, "back", "--to", "1") == (ExitCode.CHANGES, {"generation": 1, "activation": None})
        assert calls_that_write(running)[len(before) :] == []

        assert (await replay(running, "clean", "--execute"))[1]["exit"] == "REFUSED", "its workers run"
        await generations.stop(1)
        await generations.insist(lambda known: known.generations[1].dropped, "clean", "--execute")
        assert (await replay(running, "clean"))[1] == {"generations": [], "executed": False}


async def repeated(running: LocalStack, arguments: tuple[str, ...], shown: dict[str, Any]) -> None:
    """A command that is done, given again, says so and orders nothing."""
    before = await known_generations(running.settings)
    code, found = await replay(running, *arguments)
    assert (code, {name: found[name] for name in shown}) == (ExitCode.OK, shown)
    assert await known_generations(running.settings) == before


async def planned(running: LocalStack, other: Path, shown: dict[str, Any]) -> None:
    """The plan is that of the generation, and a sample that is everybody comes to the same."""
    of_mapping = ("plan", "--mapping", str(other))
    code, plan = await command(running, *of_mapping)
    assert (code, plan["generation"]) == (ExitCode.CHANGES, 1)
    assert {name: plan[name] for name in shown} == shown
    code, whole = await command(running, *of_mapping, "--sample", "10000", "--show", "3", "--show-personal-data")
    assert code == ExitCode.CHANGES
    assert (whole["sample"]["extrapolated"], whole["sample"]["missing_topics"]) == (False, [])
    same = ("differing", "changes", "list_places", "effort")
    assert {name: whole[name] for name in same} == {name: shown[name] for name in same}
    # Here the content is known of records too.
    assert whole["fields"] == shown["fields"] | {"catalogue": {"url": shown["changes"]["catalogue"]["changed"]}}
    assert "OW_EXCLUDE_UNTIL" in whole["examples"][-1]["fields"] or "url" in whole["examples"][-1]["fields"]
    code, some = await command(running, *of_mapping, "--sample", "8")
    assert (some["sample"]["persons"], some["sample"]["extrapolated"]) == (8, True)
    assert some["changes"]["catalogue"] == shown["changes"]["catalogue"]
    assert some["changes"].get("contact", {"changed": 0})["changed"] <= 8
    assert (await command(running, "plan", "--mapping", str(running.mapping)))[1]["exit"] == "REFUSED"
    assert (await command(running, "plan", "--mapping", str(running.mapping), "--sample", "10000"))[0] == ExitCode.OK


async def test_another_mapping_changes_exactly_what_was_shown(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "remapped", partitions=2) as running:
        for role in Role:
            await running.start_worker(role)
        await simulate(running, seed=70, customers=25, orders=60, duplicates=0.1, rate=1_000)
        await settled(running, 0)
        before, facts, shown_before = calls_that_write(running), await frozen_facts(running), held_by_dotdigital(running)
        own, other = running.mapping, changed_mapping(running)
        assert (await replay(running, "rebuild", "--mapping", str(other), "--timeout", "0"))[0] == ExitCode.UNFINISHED
        assert (await replay(running, "rebuild", "--execute"))[1]["exit"] == "REFUSED", "it is built with another mapping"
        generations = Generations(running, Random(6))
        names = await generations.start(1, other)
        code, found = await replay(running, "rebuild", "--mapping", str(other), *PATIENCE)
        assert (code, found["done"]) == (ExitCode.CHANGES, True), found
        shown = found["differences"]
        assert {family: [*words] for family, words in shown["changes"].items()} == {
            "contact": ["changed"],
            "catalogue": ["changed"],
        }
        assert shown["fields"] == {"contact": {"OW_EXCLUDE_UNTIL": shown["changes"]["contact"]["changed"]}}
        assert (shown["effort"]["imports"], shown["effort"]["limited"]) == (0, False)
        assert shown["effort"]["calls"] == shown["differing"] > 0
        await planned(running, other, shown)
        assert calls_that_write(running) == before
        assert await frozen_facts(running) == facts, "only the generation in force writes them"

        switch = ("rebuild", "--mapping", str(other), *PATIENCE, "--execute")
        code, found = await replay(running, *switch)
        assert (code, found["activation"]) == (0, 1)
        await running.settled()
        assert len(calls_that_write(running)) - len(before) == shown["effort"]["calls"]
        changes = {family: words["changed"] for family, words in shown["changes"].items()}
        catalogue = load_mapping(other).delivery.catalogue
        assert catalogue is not None
        assert differing(shown_before, held_by_dotdigital(running)) == {
            ("contact", "OW_EXCLUDE_UNTIL"): changes["contact"],
            (catalogue.collection, "url"): changes["catalogue"],
        }
        await repeated(running, switch, {"generation": 1, "done": True, "differences": None, "activation": 1})
        await running.kill("dispatch")
        running.mapping = other
        await settled(running, 0, 1)
        # Only the agents of the generation in force are there to write them.
        agents = running.workers.pop("agents").process
        agents.terminate()
        await asyncio.to_thread(agents.wait)
        facts = await frozen_facts(running)
        await freeze(running, "remapped")
        async with asyncio.timeout(200):
            while await frozen_facts(running) == facts:
                await asyncio.sleep(0.5)
        await running.start_worker(Role.AGENTS)
        everybody = [*names, *(role.value for role in Role), COMMAND]
        await generations.insist(generations.active(0), "back", "--execute", victims=everybody)
        running.mapping = own
        await settled(running, 0, 1)
        assert held_by_dotdigital(running) == shown_before
