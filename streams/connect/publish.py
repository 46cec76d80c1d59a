"""Write down the keys that the connectors publish, for :mod:`streams.connect.lint`: ``make connector-keys``.

Asked is a running Kafka Connect with the plugins; its answer to a validation has the keys of the connector and of Connect
itself.
"""

import sys
from typing import Any

import httpx
import msgspec

from streams.connect.lint import KEYS, PublishedKeys
from streams.connect.names import SourceKind
from streams.connect.render import CLASSES


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


def main(url: str) -> None:
    """Ask the worker at ``url`` and write ``keys/*.json``."""
    with httpx.Client(base_url=url, timeout=120.0) as client:
        plugins = client.get("/connector-plugins").raise_for_status().json()
        for kind, name in CLASSES.items():
            asked = client.put(f"/connector-plugins/{name}/config/validate", json={"connector.class": name, "name": kind})
            found = published(kind, plugins, asked.raise_for_status().json())
            text = msgspec.json.format(msgspec.json.encode(found), indent=2)
            (KEYS / f"{kind}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
