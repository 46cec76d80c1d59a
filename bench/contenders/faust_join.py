"""Stock Faust: four agents, three RocksDB tables, automatic acknowledgement, ``topic.send`` between them.

Faust's defaults but for what makes it faster: raw bytes and orjson instead of its JSON codec, linger and a larger batch for
the producer, uvloop and ``-l info`` on the command line (anything quieter makes its terminal spinner build every debug
record).
"""

from typing import Any

import faust
import orjson

from bench.contenders import naive
from bench.contenders.common import Names, bootstrap, data, my_sources
from bench.workload import PARTITIONS

names = Names.here()

app = faust.App(
    names.group,
    broker=f"kafka://{bootstrap()}",
    store="rocksdb://",
    datadir=str(data()),
    autodiscover=False,
    key_serializer="raw",
    value_serializer="raw",
    topic_partitions=PARTITIONS,
    producer_linger=0.02,
    producer_max_batch_size=262_144,
)


def _topic(*topics: str) -> Any:
    return app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


order_changes, buyer_changes, contact_changes = _topic(names.orders), _topic(names.buyers), _topic(names.contacts)
out = _topic(names.out)
stages = {naive.ORDERS: order_changes, naive.BUYERS: buyer_changes}

orders = app.Table("orders", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
buyers = app.Table("buyers", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
contacts = app.Table("contacts", key_type=bytes, value_type=bytes, partitions=PARTITIONS)


def _load(table: Any, key: bytes) -> naive.Doc:
    value = table.get(key)
    return {} if value is None else dict(orjson.loads(value))


async def rekey(stream: Any) -> None:
    """Captured records in, trimmed changes by order or buyer out."""
    async for value in stream:
        change = naive.rekeyed(value)
        if change is not None:
            stage, key, content = change
            await stages[stage].send(key=key.encode(), value=orjson.dumps(content))


async def assemble(stream: Any) -> None:
    """Order rows in, order facts out."""
    async for key, value in stream.items():
        order = _load(orders, key)
        if naive.apply_order(order, orjson.loads(value)):
            orders[key] = orjson.dumps(order)
            fact = naive.fact_of(key.decode(), order)
            if fact is not None:
                await buyer_changes.send(key=fact[0].encode(), value=orjson.dumps(fact[1]))


async def collect(stream: Any) -> None:
    """Customers, contacts and facts in, parts by address out."""
    async for key, value in stream.items():
        buyer = _load(buyers, key)
        if naive.apply_buyer(buyer, orjson.loads(value)):
            parts = naive.parts_of(key.decode(), buyer)
            buyers[key] = orjson.dumps(buyer)
            for address, part in parts:
                await contact_changes.send(key=address.encode(), value=orjson.dumps(part))


async def merge(stream: Any) -> None:
    """Parts in, contacts out."""
    async for key, value in stream.items():
        contact = _load(contacts, key)
        if naive.apply_contact(contact, orjson.loads(value)):
            contacts[key] = orjson.dumps(contact)
            await out.send(key=key, value=orjson.dumps(naive.merged(contact)))


app.agent(_topic(*my_sources()), name="rekey")(rekey)
app.agent(order_changes, name="assemble")(assemble)
app.agent(buyer_changes, name="collect")(collect)
app.agent(contact_changes, name="merge")(merge)
