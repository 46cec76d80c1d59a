"""A simulated shop in front of a local stack, and the oracle behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from streams.demo.stack import LocalStack
from streams.mapping import DEFAULT, Mapping, load_mapping
from streams.oracle import Difference, compare, expected_contacts, expected_held
from streams.oracle.sandbox import read_state
from streams.simulate import Truth, read_truth

QUICK = {
    "OWDD_LIVE_QUIET": "0.3",
    "OWDD_LIVE_LONGEST": "2",
    "OWDD_BULK_QUIET": "1",
    "OWDD_BULK_LONGEST": "4",
    "OWDD_SESSION_TIMEOUT": "6",
}
"""Short waits: the tests are about what arrives, not about when."""


@asynccontextmanager
async def stack(
    directory: Path, broker: Path, name: str, *, consent: bool = False, partitions: int = 4, **variables: str
) -> AsyncIterator[LocalStack]:
    """A stack with topics of its own on a shared broker."""
    data = yaml.safe_load(DEFAULT.read_text("utf-8"))
    data["house_accounts"] = [1]
    data["source"]["topic_prefix"] = name
    if consent:
        data["consent"] = {"mode": "column", "column": "cc_marketing_opt_in"}
    mapping = directory / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(data), "utf-8")
    overrides = QUICK | {"OWDD_APP_ID": name, "OWDD_PARTITIONS": str(partitions)} | variables
    async with LocalStack(directory, mapping, overrides, broker=broker) as running:
        yield running


async def simulate(running: LocalStack, **options: object) -> None:
    """Run the simulator to its end; options as ``owdd simulate`` names them, True for a flag."""
    arguments = ["--truth", str(running.directory / "truth.json")]
    for name, value in options.items():
        arguments.append("--" + name.replace("_", "-"))
        if value is not True:
            arguments.append(str(value))
    await running.simulate(arguments)


def verdict(running: LocalStack) -> tuple[list[Difference], Truth, Mapping]:
    """What the oracle finds once the stack has settled."""
    mapping, truth = load_mapping(running.mapping), read_truth(running.directory / "truth.json")
    actual = read_state(running.settings.dotdigital_url)
    expected = expected_contacts(truth.tables, mapping)
    assert expected, "the shop has no contacts: nothing was tested"
    found = compare(expected, actual, mapping, opted_in_ever=truth.opted_in_ever, preexisting=())
    return found, truth, mapping


async def held(running: LocalStack) -> dict[str, int]:
    """Held orders by reason, as the workers count them."""
    samples = await running.scrape()
    return {dict(labels)["kind"]: int(value) for (name, labels), value in samples.items() if name == "owdd_held"}


def expected_held_of(truth: Truth, mapping: Mapping) -> dict[str, int]:
    """Held orders by reason, as the oracle counts them."""
    return dict(expected_held(truth.tables, mapping))
