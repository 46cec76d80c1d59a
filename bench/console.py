"""``console``: how long pages of one contact take, over the state of many contacts that two workers hold."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from pydantic import SecretStr

from bench.child import free_port
from bench.errors import WrongResult
from bench.results import Goal, Result, Spread
from bench.site import Site
from streams.capture import rows
from streams.console.app import create_app
from streams.domain.buyers import BuyerRow
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_projection import ContactRow, desired
from streams.domain.contact_state import ContactDeliveryState, set_desired
from streams.domain.order_tree import Leaf
from streams.domain.orders import OrderRow
from streams.domain.versioned import Versioned, version_bytes
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec
from streams.mapping import Mapping as SiteMapping
from streams.mapping import load_mapping
from streams.messages.changes import OrderFact, Totals, partition_of
from streams.messages.contributions import BuyerContribution
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import ContactCreated
from streams.observability.health import Health
from streams.observability.logs import configure
from streams.observability.metrics import Metrics
from streams.operations.lookups import lookup_of
from streams.operations.state_page import state_page
from streams.operations.state_replies import StateReplies
from streams.settings import Settings
from testkit.virtual.local_broker import LocalTable

CONTACTS, QUICK_CONTACTS = 100_000, 10_000
_ORDERS_EACH = 2
_PAGES = 100
_BAR_SECONDS = 1.0
_TABLES = ("orders", "buyers", "contacts", "outbox")
_TOKEN = "a token of the benchmark, of 32 characters"
_AT = 1_750_000_000_000_000
_OLDEST = b"\0" * 12

_encode = Codec("", object).encode


@dataclass(frozen=True, slots=True)
class _Share:
    """The partitions of a table that one worker has open."""

    table: LocalTable
    mine: frozenset[int]

    def owned(self) -> set[int]:
        return set(self.mine)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.table.get(partition, key)

    def find(self, partition: int, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        return self.table.find(partition, hash_)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self.table.scan(partition, prefix, after)


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Pages of contacts, and searches, through the console's own HTTP.

    Raises:
        WrongResult: a page does not show the contact.
    """
    configure("warning", as_json=False)
    contacts = QUICK_CONTACTS if quick else CONTACTS
    app = await site.owdd("console")
    settings = app.settings.model_copy(update={"state_token": SecretStr(_TOKEN), "console_token": SecretStr(_TOKEN)})
    mapping = load_mapping(app.mapping)
    directory = site.directory / "console"
    found: dict[str, list[float]] = {}
    try:
        tables = await asyncio.to_thread(_filled, directory, mapping, contacts, settings)
        async with _console(settings, mapping, tables) as http:
            for _ in range(repetitions):
                for what, seconds in (await _visit(http, settings, contacts)).items():
                    found.setdefault(what, []).extend(seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _result(found, contacts)


async def _visit(http: httpx.AsyncClient, settings: Settings, contacts: int) -> Mapping[str, list[float]]:
    hash_key = settings.hash_key.get_secret_value().encode()
    found: dict[str, list[float]] = {"page of a contact": []}
    for number in range(1, contacts, contacts // _PAGES):
        email = _email(number)
        page = f"/contact/{keyed_hash(email.encode(), hash_key)}"
        found["page of a contact"].append(await _timed(http, "GET", page, email))
    last = contacts - 1
    searches = {"address": _email(last), "account": f"ACC{last:06}", "order": f"SO{last * _ORDERS_EACH}"}
    for what, text in searches.items():
        found[f"search by {what}"] = [await _timed(http, "POST", "/contact", _email(last), q=text) for _ in range(3)]
    found["search without a hit"] = [await _timed(http, "POST", "/contact", "", q="NOBODY") for _ in range(3)]
    return found


async def _timed(http: httpx.AsyncClient, method: str, path: str, shown: str, **form: str) -> float:
    """Seconds from the request to the whole page; ``shown`` must be on it."""
    started = time.perf_counter()
    page = await http.request(method, path, data=form or None)
    seconds = time.perf_counter() - started
    if page.status_code != 200 or shown not in page.text:
        raise WrongResult(f"{method} {path}: status {page.status_code}, or another contact")
    return seconds


def _result(found: Mapping[str, list[float]], contacts: int) -> Result:
    result = Result("console", f"{contacts:,} contacts with {_ORDERS_EACH} orders each, two workers", ["what", "ms"])
    for what, seconds in found.items():
        spread = Spread.of([1000 * one for one in seconds])
        result.rows.append([what, spread.text(0)])
        result.data[what] = spread.json()
        result.goals.append(Goal(f"console, {what}: slowest", max(seconds), _BAR_SECONDS, "s"))
    result.notes.append("workers, console and reader share one event loop, so nothing is done at the same time")
    return result


@asynccontextmanager
async def _console(
    settings: Settings, mapping: SiteMapping, tables: Mapping[str, LocalTable]
) -> AsyncIterator[httpx.AsyncClient]:
    """Two workers with every second partition each, the console before them, and somebody who has signed in."""
    hash_key = settings.hash_key.get_secret_value().encode()
    async with AsyncExitStack() as stack:
        ports = []
        for first in (0, 1):
            mine = frozenset(range(first, settings.partitions, 2))
            shares = cast(dict[str, StateTable], {name: _Share(table, mine) for name, table in tables.items()})
            health = Health(Metrics())
            health.page(state_page(StateReplies(settings.partitions, hash_key, shares), _TOKEN))
            ports.append(await stack.enter_async_context(_served(health.app(), lifespan="off")))
        settings = settings.model_copy(update={"workers": ",".join(f"127.0.0.1:{port}" for port in ports)})
        port = await stack.enter_async_context(_served(create_app(settings, mapping), lifespan="on"))
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=60.0)
        await stack.enter_async_context(http)
        await http.post("/sign-in", data={"token": _TOKEN})
        yield http


@asynccontextmanager
async def _served(app: Any, lifespan: Any) -> AsyncIterator[int]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan=lifespan))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield port
    finally:
        server.should_exit = True
        await serving


def _email(number: int) -> str:
    return f"person{number}@shop{number % 500}.example"


def _filled(directory: Path, mapping: SiteMapping, contacts: int, settings: Settings) -> dict[str, LocalTable]:
    """State as the stages write it, for accounts with one person and two orders of three lines."""
    partitions, hash_key = settings.partitions, settings.hash_key.get_secret_value().encode()
    batches: dict[str, list[dict[bytes, bytes | None]]] = {name: [{} for _ in range(partitions)] for name in _TABLES}

    def put(table: str, key: str, stored: str, row: object) -> None:
        batches[table][partition_of(key, partitions)][stored.encode()] = _encode(row)

    for number in range(1, contacts + 1):
        email, buyer = _email(number), f"c{number}"
        facts: dict[int, Versioned[OrderFact]] = {}
        for order in range((number - 1) * _ORDERS_EACH + 1, number * _ORDERS_EACH + 1):
            facts[order] = Versioned(
                version_bytes(_AT), OrderFact(f"SO{order}", 1_700_000_000 + order, "despatched", False, Decimal("12.50"), None)
            )
            put("orders", str(order), f"o{order}", _order(order, number, email))
        row = BuyerRow(
            customer=Versioned(_OLDEST, rows.Customer(f"ACC{number:06}", False, (email,))), root=Leaf(facts), version=1
        )
        put("buyers", buyer, f"b{buyer}", row)
        contact = _contact(number, buyer)
        put("contacts", email, f"c{email}", contact)
        put("outbox", email, f"e{email}", _delivered(contact, mapping, email, number))
    directory.mkdir()
    tables: dict[str, LocalTable] = {}
    for name, parts in batches.items():
        (directory / name).mkdir()
        tables[name] = LocalTable(directory / name, partitions, lookup_of(name, hash_key))
        for partition, writes in enumerate(parts):
            tables[name].write(partition, writes)
    return tables


def _order(order: int, number: int, email: str) -> OrderRow:
    header = rows.Header(f"SO{order}", 1_700_000_000 + order, number, 1, 1)
    row = OrderRow(header=Versioned(_OLDEST, header), version=_AT, records=[(email, f"SO{order}")], buyers=[f"c{number}"])
    for line in range(3):
        row.lines[order * 3 + line] = Versioned(_OLDEST, rows.Line(None, line, Decimal(1), Decimal(4)))
    return row


def _contact(number: int, buyer: str) -> ContactRow:
    totals = Totals(2, 2, Decimal(25), 0, Decimal(0), (1, 1), (2, 2))
    part = BuyerContribution(
        "Ann", "Example", f"ACC{number:06}", False, True, totals, f"SO{number * _ORDERS_EACH}", "despatched", "A,B"
    )
    return ContactRow(parts={buyer: Versioned(version_bytes(_AT + number), part)})


def _delivered(row: ContactRow, mapping: SiteMapping, email: str, number: int) -> ContactDeliveryState:
    state = ContactDeliveryState()
    set_desired(state, desired(row, mapping), version_bytes(_AT + number))
    assert state.hash is not None
    apply_result(state, ContactCreated(at=1, task=f"e{email}", digest=state.hash, contact=number, created_as="subscribed"))
    return state
