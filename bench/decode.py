"""How fast captured records are read: envelopes per second and core, of ``decode`` alone and with routing behind it.

    python -m bench.decode [--json] [--records 20000] [--repeats 5]

One process, processor time, best of five runs. The first row is the bar's own: JSON parsed and nothing else done with it.
"""

import argparse
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

from streams.capture.envelope import RowEvent, decode
from streams.ingest.router import Router
from streams.mapping import load_mapping
from streams.messages.topics import Topics

BAR = 150_000
"""Envelopes per second and core that ``decode`` must reach on an update."""

KEY = b'{"oh_id":104233}'
AT = "2026-03-05T08:41:12.25Z"
ROW = {
    "oh_id": 104233,
    "oh_order_number": "SO104233",
    "oh_datetime": AT,
    "oh_cd_id": 7741,
    "oh_sot_id": 1,
    "oh_os_id": 3,
    "oh_sl_id": 1,
    "oh_cust_order_ref": "WEB-204233",
    "oh_order_complete": False,
    "oh_ot_id": 1,
    "oh_cc_id": None,
    "oh_last_amended_datetime": AT,
    "oh_notes": "Leave with a neighbour; ring the bell before delivery, please",
    "oh_taken_by": 12,
    "oh_margin": "41.2500",
    "oh_priority": 0,
    "oh_delivery_window": "09:00-17:30",
    "oh_project_id": None,
}


class Case(NamedTuple):
    """One kind of record."""

    name: str
    value: bytes
    work: Callable[[bytes], object]


class Result(NamedTuple):
    """What one kind of record came to."""

    case: str
    bytes: int
    per_second: int
    microseconds: float
    slowest_per_second: int


def envelope(op: str) -> bytes:
    """A row event of ``order_header`` as the SQL Server connector writes it in its recommended modes."""
    before = ROW if op == "u" else None
    after = ROW | {"oh_os_id": 5, "oh_order_complete": True} if op == "u" else ROW
    source = {
        "version": "3.6.3.Final",
        "connector": "sqlserver",
        "name": "ow",
        "ts_ms": 1772700131027,
        "snapshot": "false",
        "db": "Orderwise",
        "sequence": None,
        "ts_us": 1772700131027000,
        "ts_ns": 1772700131027000000,
        "schema": "dbo",
        "table": "order_header",
        "change_lsn": "0000003a:00001330:0003",
        "commit_lsn": "0000003a:00001330:0006",
        "event_serial_no": 2 if op == "u" else 1,
    }
    times = {"ts_ms": 1772700133190, "ts_us": 1772700133190482, "ts_ns": 1772700133190482117}
    return orjson.dumps({"before": before, "after": after, "source": source, "transaction": None, "op": op} | times)


def cases() -> list[Case]:
    """What is measured."""
    router = Router(load_mapping(), Topics.of("owdd"))

    def decoded(value: bytes) -> RowEvent:
        event = decode(KEY, value)
        if not isinstance(event, RowEvent):
            raise TypeError("the sample is no row event")
        return event

    def routed(value: bytes) -> object:
        return list(router.route(decoded(value), 1772700133190))

    update, insert = envelope("u"), envelope("c")
    return [
        Case("JSON alone, update", update, orjson.loads),
        Case("decode, update", update, decoded),
        Case("decode, insert", insert, decoded),
        Case("decode and route, update", update, routed),
        Case("decode and route, insert", insert, routed),
    ]


def measured(case: Case, records: int, repeats: int) -> Result:
    """The best and the worst of several runs over the same record."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(records):
            case.work(case.value)
        seconds.append(time.process_time() - began)
    best, worst = min(seconds), max(seconds)
    return Result(case.name, len(case.value), int(records / best), best / records * 1e6, int(records / worst))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Envelopes per second and core.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--records", type=int, default=20_000, help="records of one run")
    options.add_argument("--repeats", type=int, default=5, help="runs of which the best counts")
    chosen = options.parse_args()
    results = [measured(case, chosen.records, chosen.repeats) for case in cases()]
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "orjson": orjson.__version__,
        "records": chosen.records,
        "repeats": chosen.repeats,
        "bar": BAR,
    }
    if chosen.json:
        print(orjson.dumps(facts | {"results": [result._asdict() for result in results]}, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("case", "bytes", "per second", "µs each", "slowest run", title="Envelopes per second and core")
    for result in results:
        row = (f"{result.bytes:,}", f"{result.per_second:,}", f"{result.microseconds:.2f}", f"{result.slowest_per_second:,}")
        table.add_row(result.case, *row)
    Console().print(table)
    Console().print(f"bar for decode, update: {BAR:,} · {', '.join(f'{name} {fact}' for name, fact in facts.items())}")


if __name__ == "__main__":
    main()
