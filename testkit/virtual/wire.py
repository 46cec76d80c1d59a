"""What a call says, read from its path and body: which deliverables it carries, and whether Dotdigital knew it all already."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from testkit.sandbox.store import Contact, Store
from testkit.virtual.trace import CONTACT, Deliverable


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """One deliverable in a call: its content in canonical form, and what the call says beside it."""

    deliverable: Deliverable
    content: bytes
    refuses: bool = False
    lists: frozenset[int] = frozenset()


def canonical(content: Any) -> bytes:
    """Content that compares: keys in order, numbers as numbers."""
    return orjson.dumps(orjson.loads(content) if isinstance(content, bytes) else content, option=orjson.OPT_SORT_KEYS)


def read(method: str, path: str, body: bytes, store: Store) -> list[ParsedCall]:
    """What a call carries; nothing when it only asks, or changes what no trace holds."""
    if method not in ("PATCH", "POST", "PUT") or not body:
        return []
    members = orjson.loads(body)
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match parts:
        case ["contacts", "v3", "import"]:
            return [_imported(row, store) for row in members["contacts"]]
        case ["contacts", "v3"]:
            return [_contact(members, "email", members["identifiers"]["email"], store)]
        case ["contacts", "v3", kind, value]:
            return [_contact(members, kind, value, store)]
        case ["insightData", "v3", "import"]:
            return [ParsedCall((members["collectionName"], row["key"]), canonical(row["json"])) for row in members["records"]]
        case ["insightData", "v3", "contacts", _, _, collection, key] | ["insightData", "v3", "account", collection, key]:
            return [ParsedCall((collection, key), canonical(members))]
    return []


def _imported(row: Mapping[str, Any], store: Store) -> ParsedCall:
    kind = row["matchIdentifier"]
    return _contact(row, kind, row["identifiers"][kind], store)


def _contact(row: Mapping[str, Any], kind: str, value: Any, store: Store) -> ParsedCall:
    found = store.find(kind, str(value))
    email = found.email if found is not None and found.email is not None else str(value)
    status = row.get("channelProperties", {}).get("email", {}).get("status")
    return ParsedCall(
        (CONTACT, email), canonical(row.get("dataFields", {})), status == "unsubscribed", frozenset(row.get("lists", ()))
    )


def nothing_new(said: ParsedCall, store: Store) -> bool:
    """Whether Dotdigital holds all of it at this moment."""
    kind, key = said.deliverable
    if kind != CONTACT:
        collection = store.insight.find(kind)
        record = collection.records.get(key) if collection is not None else None
        return record is not None and canonical(record.json) == said.content
    contact = store.find("email", key)
    if contact is None or contact.binned is not None:
        return False
    if said.refuses and contact.email_status != "unsubscribed":
        return False
    return said.lists <= set(contact.lists) and held(contact, said.content) == said.content


def refused(said: ParsedCall, store: Store) -> bool:
    """Whether the contact is unsubscribed by now, or will be once the import is done."""
    contact = store.find("email", said.deliverable[1]) if said.deliverable[0] == CONTACT else None
    return said.refuses or (contact is not None and contact.email_status == "unsubscribed")


def held(contact: Contact, content: bytes) -> bytes:
    """What a contact holds in the fields that ``content`` names, in canonical form."""
    return canonical({name: contact.data.get(name) for name in orjson.loads(content)})


def holdings(store: Store) -> Iterator[tuple[Deliverable, bytes]]:
    """Every record of the account, with its content in canonical form."""
    for collection in store.insight:
        for key, record in collection.records.items():
            yield (collection.name, key), canonical(record.json)
