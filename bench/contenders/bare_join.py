"""The upper bound: aiokafka ``getmany``, orjson and three dicts in one process. Nothing is durable but the offsets.

At SIGTERM it leaves its contacts in a file.
"""

import asyncio
import signal

import orjson
import uvloop

from bench.contenders import naive
from bench.contenders.common import RESULT, STARTING, Names, bootstrap, data, my_sources
from streams.kafka import client
from streams.kafka.security import KafkaConfig

Store = dict[str, naive.Doc]


class Join:
    """State and rules."""

    def __init__(self) -> None:
        self._orders: Store = {}
        self._buyers: Store = {}
        self._contacts: Store = {}
        self.out: Store = {}

    def feed(self, value: bytes | None) -> None:
        """One captured record, all the way through."""
        found = naive.rekeyed(value)
        if found is None:
            return
        stage, key, change = found
        if stage == naive.BUYERS:
            self._buyer(key, change)
            return
        order = self._orders.setdefault(key, {})
        if naive.apply_order(order, change):
            fact = naive.fact_of(key, order)
            if fact is not None:
                self._buyer(*fact)

    def _buyer(self, key: str, change: naive.Doc) -> None:
        buyer = self._buyers.setdefault(key, {})
        if not naive.apply_buyer(buyer, change):
            return
        for address, part in naive.parts_of(key, buyer):
            contact = self._contacts.setdefault(address, {})
            if naive.apply_contact(contact, part):
                self.out[address] = naive.merged(contact)


async def main() -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    consumer = client.consumer(
        KafkaConfig(bootstrap()),
        *my_sources(),
        group_id=Names.here().group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
    )
    join = Join()
    print(STARTING, flush=True)
    await consumer.start()
    try:
        while not stop.is_set():
            polled = await consumer.getmany(timeout_ms=200, max_records=4000)
            for records in polled.values():
                for record in records:
                    join.feed(record.value)
            if polled:
                await consumer.commit()
    finally:
        await consumer.stop()
    lines = (orjson.dumps(contact | {"email": address}) for address, contact in join.out.items())
    (data() / RESULT).write_bytes(b"\n".join(lines))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
