"""Only one module makes aiokafka clients: a client made elsewhere would miss the site's security settings."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACTORY = ROOT / "streams/kafka/client.py"
# A connection of its own, to see why no client gets in; and Faust's consumer thread, which makes no client.
ELSEWHERE = {"streams/kafka/access.py: create_conn", "streams/engine/transport.py: AIOKafkaConsumerThread"}


def made_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        called = [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
        for what in called:
            name = what.attr if isinstance(what, ast.Attribute) else what.id if isinstance(what, ast.Name) else ""
            if name.startswith("AIOKafka") or name == "create_conn":
                yield f"{file.relative_to(ROOT)}: {name}"


def test_only_the_factory_makes_clients() -> None:
    files = [file for package in ("streams", "testkit", "bench") for file in (ROOT / package).rglob("*.py")]
    found = {made for file in files if file != FACTORY for made in made_in(file)}
    assert found == ELSEWHERE


def test_the_factory_makes_all_three_kinds() -> None:
    assert {made.rpartition(" ")[2] for made in made_in(FACTORY)} == {
        "AIOKafkaConsumer",
        "AIOKafkaProducer",
        "AIOKafkaAdminClient",
    }
