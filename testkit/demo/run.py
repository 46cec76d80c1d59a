"""``make demo`` and ``make demo-cdc``: a shop changes, Dotdigital follows, and an oracle checks the answer."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.mapping import DEFAULT, load_mapping
from streams.worker import Role
from testkit.demo.capture import CaptureStack
from testkit.demo.quantiles import quantile
from testkit.demo.stack import LocalStack, Samples
from testkit.local_services.broker_security import Security
from testkit.oracle import compare, expectation
from testkit.oracle.redaction import redacted
from testkit.oracle.sandbox import read_account
from testkit.simulate import read_truth

HOUSE_ACCOUNT = 1
_LATENCY = "owdd_change_to_delivery_seconds_bucket"
_EVERYDAY_RATE = 20
"""Records a second: more than nearly any shop makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """How large the demonstration is; with ``capture`` the shop writes to a database, and ``rate`` is in commits.

    ``everyday`` commits are held back until everything else is delivered, and then made at a shop's pace. With ``capture``
    all are: there ``rate`` is that pace.
    """

    customers: int = 2000
    orders: int = 10_000
    house_share: float = 0.3
    rate: int = 2000
    everyday: int = 60
    seed: int = 1
    duplicates: float = 0.02
    replays: int = 2
    report: Path = Path("demo-report.json")
    directory: Path | None = None
    capture: bool = False
    security: Security = "plaintext"
    patience: float = 170.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it; the content of the report. ``skipped`` are changes that came again behind a newer one.

    ``found``: every difference, with keyed hashes in place of what identifies a person.
    ``latency_seconds`` is of everything, ``everyday_seconds`` of the changes after the first load, which took
    ``load_seconds`` and brought ``load_events``; None where there was no such phase.
    """

    converged: bool
    contacts: int
    differences: int
    found: list[dict[str, Any]]
    events: int
    skipped: int
    calls: int
    parked: int
    dead_letters: int
    held: dict[str, int]
    delivered: dict[str, int]
    latency_seconds: dict[str, dict[str, float | None]]
    everyday_seconds: dict[str, dict[str, float | None]] | None
    load_seconds: float | None
    load_events: int | None
    seconds: float
    seed: int


async def demo(config: DemoConfig, console: Console) -> Report:
    """Run the demonstration; everything that it started has stopped when it returns, also when it is interrupted.

    Raises:
        RuntimeError: a process ended or did not start, with the end of its log; or the directory is not empty.
        TimeoutError: the pipeline did not come to rest in time.
    """
    directory = config.directory or Path(tempfile.mkdtemp(prefix="owdd-demo-"))
    try:
        return await _demo(config, console, directory)
    finally:
        if config.directory is None:
            shutil.rmtree(directory, ignore_errors=True)


async def _demo(config: DemoConfig, console: Console, directory: Path) -> Report:
    started = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise RuntimeError(f"{directory} is not empty: a demonstration starts from nothing")
    mapping_file, truth_file = directory / "mapping.yaml", directory / "truth.json"
    write_mapping(mapping_file)
    # A demonstration has no patience for the bulk lane's minutes, and two weeks of removals come within one.
    overrides = {"OWDD_BULK_QUIET": "3", "OWDD_BULK_LONGEST": "10", "OWDD_BRAKE_WAIT": "1", "OWDD_BRAKE_LEAST": "1000000"}
    kind = CaptureStack if config.capture else LocalStack
    stack = kind(
        directory, mapping_file, overrides, security=config.security, progress=lambda text: console.print(f"[dim]{text}")
    )
    async with stack:
        console.print(f"Kafka on {stack.settings.kafka_bootstrap}, sandbox on {stack.settings.dotdigital_url}")
        for role in Role:
            await stack.start_worker(role)
        console.print("Ingest, agents and dispatch are ready; the shop opens.")
        with Live(console=console, refresh_per_second=4) as live:
            watching = asyncio.create_task(_watch(stack, live, started))
            try:
                load = await _simulate(config, stack, truth_file, started)
                await stack.settled(config.patience)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
        if not console.is_terminal:
            console.print()  # there Live leaves its last line open
        samples = await stack.scrape()
        mapping, truth = load_mapping(mapping_file), read_truth(truth_file)
        expected = expectation(truth.tables, mapping, at=datetime.now(UTC), history=truth.history)
        account = await asyncio.to_thread(read_account, stack.settings.dotdigital_url)
        differences = compare(expected, account, mapping, opted_in_ever=truth.opted_in_ever, preexisting=())
        hash_key = stack.settings.hash_key.get_secret_value().encode()
        found = [redacted(difference, mapping, hash_key) for difference in differences]
        report = _report(samples, load, len(expected.contacts), found, time.monotonic() - started, config.seed)
    config.report.write_bytes(orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2, default=str))
    return report


def write_mapping(file: Path) -> None:
    """The shipped mapping with one house account, as the simulated shop books its guests."""
    data = yaml.safe_load(DEFAULT.read_text("utf-8"))
    data["house_accounts"] = [HOUSE_ACCOUNT]
    file.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


@dataclass(slots=True)
class _Load:
    """The metrics when the first load was delivered, and how long that took; nothing where it was not told apart."""

    samples: Samples | None = None
    seconds: float | None = None


async def _simulate(config: DemoConfig, stack: LocalStack, truth: Path, started: float) -> _Load:
    arguments: dict[str, object] = {
        "--customers": config.customers,
        "--orders": config.orders,
        "--house-share": config.house_share,
        "--rate": config.rate,
        "--seed": config.seed,
        # An instant and not "now": behind a database the shop runs in two parts, which must be of one shop.
        "--ending": datetime.now(UTC).isoformat(timespec="seconds"),
        "--truth": truth,
    }
    if not config.capture:
        # A real connector repeats itself without being asked to.
        arguments |= {"--duplicates": config.duplicates, "--replays": config.replays}
        if config.everyday:
            arguments |= {"--everyday": config.everyday, "--everyday-rate": _EVERYDAY_RATE}
    load = _Load()

    async def delivered() -> None:
        await stack.settled(config.patience)
        load.samples, load.seconds = await stack.scrape(), time.monotonic() - started

    words = [str(part) for pair in arguments.items() for part in pair]
    if "--everyday" in arguments:
        await stack.simulate_in_two(words, delivered)
    else:
        await stack.simulate(words)
    return load


async def _watch(stack: LocalStack, live: Live, started: float) -> None:
    while True:
        live.update(_table(await stack.scrape(), time.monotonic() - started))
        await asyncio.sleep(0.5)


def _table(samples: Samples, seconds: float) -> Table:
    table = Table(title=f"Orderwise → Dotdigital, {seconds:.0f} s", show_header=False)
    lag = {"ingest": "owdd-ingest", "agents": "owdd-agents", "dispatch": "owdd-dispatch"}
    table.add_row("events in", f"{_total(samples, 'owdd_records_total'):,.0f}")
    for name, prefix in lag.items():
        table.add_row(f"lag {name}", f"{_total(samples, 'owdd_consumer_lag_records', group=prefix):,.0f} records")
    for lane in ("urgent", "live", "bulk"):
        table.add_row(f"pending {lane}", f"{_total(samples, 'owdd_pending', lane=lane):,.0f}")
    table.add_row("delivered", f"{_total(samples, 'owdd_delivered_total'):,.0f}")
    table.add_row("parked", f"{_total(samples, 'owdd_parked_total'):,.0f}")
    table.add_row("held", f"{_total(samples, 'owdd_held'):,.0f}")
    for lane, values in _latency(samples).items():
        shown = ", ".join(f"{name} {value:.1f} s" for name, value in values.items() if value is not None)
        table.add_row(f"change to delivery, {lane}", shown or "-")
    return table


def _report(samples: Samples, load: _Load, contacts: int, found: list[dict[str, Any]], seconds: float, seed: int) -> Report:
    before = load.samples
    return Report(
        converged=not found,
        contacts=contacts,
        differences=len(found),
        found=found,
        events=int(_total(samples, "owdd_records_total")),
        skipped=int(_total(samples, "owdd_stale_changes_total")),
        calls=int(_total(samples, "owdd_dotdigital_call_seconds_count")),
        parked=int(_total(samples, "owdd_parked_total")),
        dead_letters=int(_total(samples, "owdd_dead_letters_total")),
        held=_by(samples, "owdd_held", "kind"),
        delivered=_by(samples, "owdd_delivered_total", "outcome"),
        latency_seconds=_latency(samples),
        everyday_seconds=_latency({key: value - before.get(key, 0.0) for key, value in samples.items()}) if before else None,
        load_seconds=round(load.seconds, 1) if load.seconds is not None else None,
        load_events=int(_total(before, "owdd_records_total")) if before else None,
        seconds=round(seconds, 1),
        seed=seed,
    )


def _total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples; a label matches by prefix, since groups end in the application version."""
    return sum(
        value
        for (found, pairs), value in samples.items()
        if found == name and all(dict(pairs).get(label, "").startswith(text) for label, text in labels.items())
    )


def _by(samples: Samples, name: str, label: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (found, pairs), value in sorted(samples.items()):
        if found == name:
            counts[dict(pairs)[label]] += int(value)
    return dict(counts)


def _latency(samples: Samples) -> dict[str, dict[str, float | None]]:
    found: dict[str, Any] = {}
    for lane in ("urgent", "live", "bulk"):
        buckets = [
            (float(dict(pairs)["le"]), value)
            for (name, pairs), value in samples.items()
            if name == _LATENCY and dict(pairs)["lane"] == lane
        ]
        found[lane] = {"p50": quantile(0.5, buckets), "p99": quantile(0.99, buckets)}
    return found
