"""Write down the keys that the connectors publish, for :mod:`streams.connect.lint`: ``make connector-keys``.

Asked is a real Kafka Connect with the real plugins; its answer to a validation has the keys of the connector and those of
Connect itself.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec

from streams.connect.lint import KEYS, PublishedKeys
from streams.connect.render import CLASSES
from streams.settings import SourceKind
from testkit.local_services import connect
from testkit.local_services.kafka import embedded_broker


def published(kind: SourceKind, plugins: list[dict[str, Any]], validation: dict[str, Any]) -> PublishedKeys:
    """What Connect's answers say of one connector.

    Args:
        kind: which connector.
        plugins: answer of ``GET /connector-plugins``.
        validation: answer of ``PUT /connector-plugins/<class>/config/validate``.
    """
    version = next(str(plugin["version"]) for plugin in plugins if plugin["class"] == CLASSES[kind])
    keys = {str(config["definition"]["name"]) for config in validation["configs"]}
    return PublishedKeys(connector=CLASSES[kind], version=version, keys=tuple(sorted(keys)))


def ask(url: str) -> dict[SourceKind, PublishedKeys]:
    """What the plugins of the worker at ``url`` publish, by kind of source.

    Raises:
        httpx.HTTPError: no answer, or a refusal.
    """
    with httpx.Client(base_url=url, timeout=120.0) as client:
        plugins = client.get("/connector-plugins").raise_for_status().json()
        found: dict[SourceKind, PublishedKeys] = {}
        for kind, name in CLASSES.items():
            asked = {"connector.class": name, "name": kind}
            answer = client.put(f"/connector-plugins/{name}/config/validate", json=asked).raise_for_status()
            found[kind] = published(kind, plugins, answer.json())
        return found


def main() -> None:
    """Start a worker, ask it, and write ``keys/*.json``."""
    with TemporaryDirectory() as directory, embedded_broker(Path(directory, "kafka"), short_lived=True) as broker:
        worker = connect.start(Path(directory, "connect"), broker.bootstrap, short_lived=True)
        try:
            for kind, found in ask(worker.url).items():
                (KEYS / f"{kind}.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        finally:
            connect.stop(worker.data_dir)


if __name__ == "__main__":
    main()
