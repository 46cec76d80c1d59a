"""Pathway: the join over its tables, in one process and without a topic between the stages.

Captured records are read as JSON, and the latest version of each row is kept, by its LSN: Pathway's own reader wants
Debezium's envelopes with a schema. Nothing needs a licence key, and without one Pathway sends no telemetry. It runs in an
environment of its own (:mod:`bench.contenders.pathway_environment`).
"""

import os
from typing import Any

import pathway as pw

from bench.contenders.common import RESULT, STARTING, Names, bootstrap, data
from bench.workload import CANCELLED, topic

KAFKA = {"bootstrap.servers": bootstrap()}
READ = KAFKA | {"group.id": Names.here().group, "auto.offset.reset": "earliest"}


def captured(table: str, key: str, **columns: tuple[type, str]) -> Any:
    """The latest version of every row of ``table``: ``columns`` by name, each with its type and the column captured."""
    schema = pw.schema_from_types(row=int, lsn=str, **{name: kind for name, (kind, _) in columns.items()})
    paths = {"row": f"/after/{key}", "lsn": "/source/commit_lsn"}
    paths |= {name: f"/after/{column}" for name, (_, column) in columns.items()}
    source = topic(os.environ["BENCH_PREFIX"], table)
    versions = pw.io.kafka.read(READ, topic=source, format="json", schema=schema, json_field_paths=paths, name=table)
    return versions.deduplicate(value=versions.lsn, instance=versions.row, acceptor=lambda new, old: new >= old)


def units(text: Any) -> Any:
    """A ``decimal(18,4)`` in text as whole ten-thousandths."""
    return text.str.replace(".", "").str.parse_int()


def merged() -> Any:
    """Captured tables in, contacts out."""
    headers = captured(
        "order_header",
        "oh_id",
        customer=(int, "oh_cd_id"),
        number=(str, "oh_order_number"),
        at=(str, "oh_datetime"),
        status=(int, "oh_os_id"),
    )
    totals = captured("order_header_total", "oht_id", order=(int, "oht_oh_id"), net=(str, "oht_net"))
    lines = captured("order_line_item", "oli_id", order=(int, "oli_oh_id"), net=(str, "oli_line_net"))
    customers = captured("customer_detail", "cd_id", account=(str, "cd_ow_account"), trade=(bool, "cd_account_customer"))
    contacts = captured(
        "customer_contact",
        "cc_id",
        customer=(int, "cc_customer_id"),
        email=(str, "cc_email"),
        first=(str, "cc_first_name"),
        last=(str, "cc_last_name"),
    )
    of_order = lines.groupby(lines.order).reduce(lines.order, lines=pw.reducers.count())
    facts = (
        headers.join(totals, headers.row == totals.order)
        .join_left(of_order, headers.row == of_order.order)
        .select(headers.customer, headers.number, headers.at, headers.status, of_order.lines, net=units(totals.net))
        .filter(pw.this.status != CANCELLED)
    )
    bought = facts.groupby(facts.customer).reduce(
        facts.customer,
        count=pw.reducers.count(),
        spend=pw.reducers.sum(facts.net),
        lines=pw.reducers.sum(pw.coalesce(facts.lines, 0)),
        order=pw.reducers.max(pw.make_tuple(facts.at, facts.number, facts.status)),
    )
    parts = (
        contacts.join(customers, contacts.customer == customers.row)
        .join_left(bought, contacts.customer == bought.customer)
        .select(
            contacts.first,
            contacts.last,
            customers.account,
            customers.trade,
            bought.order,
            email=contacts.email.str.strip().str.lower(),
            count=pw.coalesce(bought["count"], 0),
            spend=pw.coalesce(bought.spend, 0),
            lines=pw.coalesce(bought.lines, 0),
        )
    )
    return parts.groupby(parts.email).reduce(
        parts.email,
        count=pw.reducers.sum(parts["count"]),
        spend=pw.reducers.sum(parts.spend),
        lines=pw.reducers.sum(parts.lines),
        trade=pw.reducers.max(pw.cast(int, parts.trade)),
        latest=pw.reducers.max(pw.make_tuple(parts.order, parts.first, parts.last, parts.account)),
    )


def main() -> None:
    """Run until SIGTERM; ``BENCH_PATHWAY`` is ``memory``, ``kafka`` or ``persistent``."""
    way, out = os.environ["BENCH_PATHWAY"], merged()
    if way == "memory":
        pw.io.jsonlines.write(out, data() / RESULT)
    else:
        pw.io.kafka.write(out, KAFKA, Names.here().out, format="json", key=out.email)
    backend = pw.persistence.Backend.filesystem(data() / "state")
    persistence = pw.persistence.Config(backend) if way == "persistent" else None
    print(STARTING, flush=True)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)


if __name__ == "__main__":
    main()
