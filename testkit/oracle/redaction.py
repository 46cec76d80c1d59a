"""A difference for print and for files, without personal data."""

from typing import Any

from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from testkit.oracle.difference import Difference


def redacted(difference: Difference, mapping: Mapping, hash_key: bytes | None) -> dict[str, Any]:
    """One difference as a dictionary; with a key, hashes stand for everything that identifies a person."""
    row = {
        "kind": difference.kind,
        "contact": difference.whom,
        "key": difference.key,
        "field": difference.field,
        "expected": difference.expected,
        "actual": difference.actual,
    }
    if hash_key is None:
        return row
    row["contact"] = keyed_hash(difference.whom.encode(), hash_key) if difference.whom else ""
    if difference.field in (mapping.contact_fields.first_name, mapping.contact_fields.last_name, "owner"):
        for side in ("expected", "actual"):
            row[side] = None if row[side] is None else keyed_hash(str(row[side]).encode(), hash_key)
    return row
