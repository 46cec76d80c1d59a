"""The join as one would write it over JSON and dicts: the same topology and guard as ours, shared by all peers.

Captured rows are trimmed and re-keyed to their order or buyer; an order's rows become one fact for its buyer; a buyer's rows
and facts become one part for its e-mail address; parts become the contact. Every cell keeps the LSN that wrote it, and a
lower one is skipped. Money is whole ten-thousandths and times stay text, which is cheaper than what we do.
"""

from typing import Any

import orjson

Doc = dict[str, Any]

ORDERS, BUYERS = "orders", "buyers"
CANCELLED = 7


def rekeyed(value: bytes | None) -> tuple[str, str, Doc] | None:
    """Stage, key and trimmed change of one Debezium record; None for what does not matter."""
    if value is None:
        return None
    envelope = orjson.loads(value)
    row, source = envelope["after"], envelope["source"]
    if row is None:
        return None
    trim = _TRIM.get(source["table"])
    if trim is None:
        return None
    stage, key, change = trim(row)
    change["lsn"] = source["commit_lsn"]
    return stage, key, change


def _header(row: Doc) -> tuple[str, str, Doc]:
    change = {
        "k": "header",
        "number": row["oh_order_number"].strip(),
        "at": row["oh_datetime"],
        "customer": row["oh_cd_id"],
        "status": row["oh_os_id"],
    }
    return ORDERS, str(row["oh_id"]), change


def _total(row: Doc) -> tuple[str, str, Doc]:
    return ORDERS, str(row["oht_oh_id"]), {"k": "total", "net": units(row["oht_net"])}


def _line(row: Doc) -> tuple[str, str, Doc]:
    change = {
        "k": "line",
        "id": str(row["oli_id"]),
        "variant": row["oli_vad_id"],
        "quantity": row["oli_qty_required"],
        "net": units(row["oli_line_net"]),
    }
    return ORDERS, str(row["oli_oh_id"]), change


def _customer(row: Doc) -> tuple[str, str, Doc]:
    change = {"k": "customer", "account": row["cd_ow_account"].strip(), "trade": row["cd_account_customer"]}
    return BUYERS, str(row["cd_id"]), change


def _contact(row: Doc) -> tuple[str, str, Doc]:
    change = {
        "k": "contact",
        "id": str(row["cc_id"]),
        "email": row["cc_email"].strip().lower(),
        "first": row["cc_first_name"].strip(),
        "last": row["cc_last_name"].strip(),
    }
    return BUYERS, str(row["cc_customer_id"]), change


_TRIM = {
    "order_header": _header,
    "order_header_total": _total,
    "order_line_item": _line,
    "customer_detail": _customer,
    "customer_contact": _contact,
}


def units(text: str) -> int:
    """A ``decimal(18,4)`` in text as whole ten-thousandths."""
    return int(text.replace(".", ""))


def apply_order(order: Doc, change: Doc) -> bool:
    """Write one row into its order; False when a newer version is there."""
    cells = order.setdefault("lines", {}) if change["k"] == "line" else order
    return _write(cells, change["id"] if change["k"] == "line" else change["k"], change)


def fact_of(key: str, order: Doc) -> tuple[str, Doc] | None:
    """Buyer and fact of an order, once header and total are there."""
    header, total = order.get("header"), order.get("total")
    if header is None or total is None:
        return None
    fact = {
        "k": "fact",
        "id": key,
        "lsn": max(header["lsn"], total["lsn"]),
        "number": header["number"],
        "at": header["at"],
        "status": header["status"],
        "live": header["status"] != CANCELLED,
        "net": total["net"],
    }
    return str(header["customer"]), fact


def apply_buyer(buyer: Doc, change: Doc) -> bool:
    """Write a customer, a contact or an order's fact into its buyer; False when a newer version is there."""
    kind = change["k"]
    if kind == "customer":
        return _write(buyer, "customer", change)
    return _write(buyer.setdefault("facts" if kind == "fact" else "contacts", {}), change["id"], change)


def parts_of(key: str, buyer: Doc) -> list[tuple[str, Doc]]:
    """What the buyer contributes to each of its addresses; nothing before its account is known."""
    customer = buyer.get("customer")
    if customer is None:
        return []
    version = buyer["version"] = buyer.get("version", 0) + 1
    live = [fact for fact in buyer.get("facts", {}).values() if fact["live"]]
    last = max(live, key=_at, default=None)
    totals = {
        "count": len(live),
        "spend": sum(fact["net"] for fact in live),
        "first": min((fact["at"] for fact in live), default=None),
        "last": last and last["at"],
        "last_number": last and last["number"],
        "last_status": last and last["status"],
    }
    return [
        (
            contact["email"],
            {"k": "part", "buyer": key, "lsn": version, "account": customer["account"], "trade": customer["trade"]}
            | {"first_name": contact["first"], "last_name": contact["last"]}
            | totals,
        )
        for contact in buyer.get("contacts", {}).values()
    ]


def apply_contact(contact: Doc, part: Doc) -> bool:
    """Write one buyer's part into its contact; False when a newer version is there."""
    return _write(contact, part["buyer"], part)


def merged(contact: Doc) -> Doc:
    """The contact document."""
    parts = list(contact.values())
    latest = max(parts, key=_last)
    return {
        "first_name": latest["first_name"],
        "last_name": latest["last_name"],
        "account": latest["account"],
        "trade": any(part["trade"] for part in parts),
        "count": sum(part["count"] for part in parts),
        "spend": sum(part["spend"] for part in parts),
        "last": latest["last"],
        "last_number": latest["last_number"],
        "last_status": latest["last_status"],
    }


def _write(cells: Doc, name: str, change: Doc) -> bool:
    old = cells.get(name)
    if old is not None and change["lsn"] < old["lsn"]:
        return False
    cells[name] = change
    return True


def _at(fact: Doc) -> str:
    return str(fact["at"])


def _last(part: Doc) -> str:
    return part["last"] or ""
