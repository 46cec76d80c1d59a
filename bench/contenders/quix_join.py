"""quixstreams: one dataframe a topic, three of them stateful, over topics in between.

``to_topic`` rather than ``group_by`` or ``concat``: grouping cannot be nested, and concatenated topics are aligned by time,
which is slower. State goes to RocksDB and the changelog at each checkpoint, every five seconds as by default; its JSON is
orjson's.
"""

from operator import itemgetter
from typing import Any

from quixstreams import Application, State
from quixstreams.models import TopicConfig

from bench.contenders import naive
from bench.contenders.common import STARTING, Names, bootstrap, data, my_sources
from bench.workload import PARTITIONS

_KEY = "to"


def rekey(value: bytes) -> list[naive.Doc]:
    """Captured records in, trimmed changes by order or buyer out."""
    found = naive.rekeyed(value)
    return [] if found is None else [found[2] | {_KEY: found[1], "stage": found[0]}]


def assemble(change: naive.Doc, key: str, _: int, __: Any, state: State) -> list[naive.Doc]:
    """Order rows in, order facts out."""
    order: naive.Doc = state.get("order") or {}
    if not naive.apply_order(order, change):
        return []
    state.set("order", order)
    fact = naive.fact_of(key, order)
    return [] if fact is None else [fact[1] | {_KEY: fact[0]}]


def collect(change: naive.Doc, key: str, _: int, __: Any, state: State) -> list[naive.Doc]:
    """Customers, contacts and facts in, parts by address out."""
    buyer: naive.Doc = state.get("buyer") or {}
    if not naive.apply_buyer(buyer, change):
        return []
    parts = naive.parts_of(key, buyer)
    state.set("buyer", buyer)
    return [part | {_KEY: address} for address, part in parts]


def merge(part: naive.Doc, _: str, __: int, ___: Any, state: State) -> list[naive.Doc]:
    """Parts in, contacts out."""
    contact: naive.Doc = state.get("contact") or {}
    if not naive.apply_contact(contact, part):
        return []
    state.set("contact", contact)
    return [naive.merged(contact)]


def build() -> Application:
    """The application, ready to run."""
    names = Names.here()
    app = Application(broker_address=bootstrap(), consumer_group=names.group, auto_offset_reset="earliest", state_dir=data())
    config = TopicConfig(num_partitions=PARTITIONS, replication_factor=1)

    def between(name: str) -> Any:
        return app.topic(name, key_serializer="str", key_deserializer="str", config=config)

    orders, buyers, contacts, out = (between(name) for name in (names.orders, names.buyers, names.contacts, names.out))
    stages = {naive.ORDERS: orders, naive.BUYERS: buyers}
    for name in my_sources():
        source = app.topic(name, key_deserializer="bytes", value_deserializer="bytes", config=config)
        changes = app.dataframe(source).apply(rekey, expand=True)
        changes.to_topic(lambda change, *_: stages[change["stage"]], key=itemgetter(_KEY))
    steps = ((orders, assemble, buyers), (buyers, collect, contacts))
    for topic, step, target in steps:
        frame = app.dataframe(topic).apply(step, stateful=True, metadata=True, expand=True)
        frame.to_topic(target, key=itemgetter(_KEY))
    app.dataframe(contacts).apply(merge, stateful=True, metadata=True, expand=True).to_topic(out)
    return app


if __name__ == "__main__":
    application = build()
    print(STARTING, flush=True)
    application.run()
