"""Short ways to talk to the sandbox that several tests share."""

from __future__ import annotations

from typing import Any

import httpx

CONTACT_IMPORT = "/contacts/v3/import"
INSIGHT_IMPORT = "/insightData/v3/import"


async def add(api: httpx.AsyncClient, *names: str, **members: object) -> list[int]:
    """Contacts `<name>@example.com`, put in by the admin call; returns their ids."""
    rows = [{"email": f"{name}@example.com", **members} for name in names]
    reply = await api.post("/_sandbox/contacts", json={"contacts": rows})
    assert reply.status_code == 201, reply.text
    ids: list[int] = reply.json()["contactIds"]
    return ids


async def read(api: httpx.AsyncClient, name: str = "ann") -> httpx.Response:
    return await api.get(f"/contacts/v3/email/{name}%40example.com")


async def turn(api: httpx.AsyncClient, **changes: object) -> None:
    reply = await api.post("/_sandbox/faults", json=changes)
    assert reply.status_code == 200, reply.text


def row(name: str = "ann", **members: object) -> dict[str, object]:
    """One contact of an import."""
    return {"matchIdentifier": "email", "identifiers": {"email": f"{name}@example.com"}, **members}


async def start_import(api: httpx.AsyncClient, *rows: dict[str, object], **members: object) -> str:
    reply = await api.put(CONTACT_IMPORT, json={"contacts": rows, **members})
    assert reply.status_code == 202, reply.text
    found: str = reply.json()["importId"]
    return found


async def report(api: httpx.AsyncClient, import_id: str, path: str = CONTACT_IMPORT) -> dict[str, Any]:
    reply = await api.get(f"{path}/{import_id}")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def orders(
    *records: dict[str, object], name: str = "Orders", scope: str = "contact", kind: str = "orders"
) -> dict[str, object]:
    """The body of an insight import."""
    return {"collectionName": name, "collectionScope": scope, "collectionType": kind, "records": records}


def order(key: object = "SO1", name: str = "ann", **json: object) -> dict[str, object]:
    identity = {"identifier": "email", "value": f"{name}@example.com"}
    return {"key": key, "json": json or {"order_total": 10.5}, "contactIdentity": identity}
