"""What can happen to records between the transaction log and a consumer, and nothing that cannot.

Every fault keeps the order of one key of one topic as Kafka does, and keeps this true: whoever skips a row version with
a lower ``commit_lsn`` than the one applied, and applies equal ones again in order of arrival, ends with the right row.
"""

import heapq
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator

from testkit.simulate.envelopes import Change

Batch = list[Change]

_LATE_BY = 2_000
_REPLAY_REACH = 3_000
_WINDOW = (200, 2_000)
_TOPICS_BEHIND = 3


def duplicated(batches: Iterable[Batch], probability: float, rng: random.Random, seen: Counter[str]) -> Iterator[Batch]:
    """Send records again, at once (a producer's retry) or up to some thousands of records later.

    Two versions that one transaction made of a row have one position. So a late repetition takes all of them, in order:
    the older one alone, behind the newer, is nothing that Debezium can send. Tombstones have no position and are only
    repeated at once.
    """
    late: list[tuple[int, int, Batch]] = []
    sent = number = 0
    for batch in batches:
        again: Batch = []
        for change in batch:
            again.append(change)
            if rng.random() >= probability:
                continue
            if rng.random() < 0.5:
                again.append(change)
                seen["repeated_at_once"] += 1
            elif change.head is not None:
                number += 1
                heapq.heappush(late, (sent + rng.randrange(1, _LATE_BY), number, _versions(change, batch)))
        sent += len(again)
        yield again
        while late and late[0][0] <= sent:
            seen["repeated_late"] += 1
            yield heapq.heappop(late)[2]
    while late:
        seen["repeated_late"] += 1
        yield heapq.heappop(late)[2]


def _versions(change: Change, batch: Batch) -> Batch:
    same = [other for other in batch if other.key == change.key and other.topic == change.topic]
    return [other for other in same if other.head is not None and other.commit == change.commit]


def replayed(batches: Iterable[Batch], crashes: list[int], rng: random.Random, seen: Counter[str]) -> Iterator[Batch]:
    """Restart the connector in or after each commit of ``crashes`` (ascending): the end of the log is sent again.

    A restart goes back to the last stored offset, anywhere in the log, and sends everything since in its old order.
    Now and then the connector crashes again on the way and starts over from the same offset.
    """
    due = deque(crashes)
    log: deque[Change] = deque(maxlen=_REPLAY_REACH)
    for batch in batches:
        if not due or batch[-1].commit < due[0]:
            log.extend(batch)
            yield batch
            continue
        while due and batch[-1].commit >= due[0]:
            due.popleft()
            cut = rng.randint(0, len(batch))
            log.extend(batch[:cut])
            yield batch[:cut]
            yield from _restarts(log, rng, seen)
            batch = batch[cut:]
            if not batch:
                break
        log.extend(batch)
        yield batch
    for _ in due:
        yield from _restarts(log, rng, seen)


def _restarts(log: deque[Change], rng: random.Random, seen: Counter[str]) -> Iterator[Batch]:
    if not log:
        return
    segment = list(log)[rng.randrange(len(log)) :]
    seen["restarts"] += 1
    if rng.random() < 0.3:
        seen["restarts_cut_short"] += 1
        part = segment[: rng.randrange(len(segment))]
        seen["replayed_records"] += len(part)
        yield part
    seen["replayed_records"] += len(segment)
    yield segment


def shuffled(batches: Iterable[Batch], rng: random.Random, seen: Counter[str]) -> Iterator[Batch]:
    """Interleave topics and keys out of commit order, as a consumer of many partitions sees them.

    Within a window the keys of all topics are mixed freely. Each window some topics fall behind altogether and are only
    seen with the next one.
    """
    waiting: Batch = []
    size = rng.randint(*_WINDOW)
    for batch in batches:
        waiting += batch
        if len(waiting) < size:
            continue
        topics = sorted({change.topic for change in waiting})
        behind = set(rng.sample(topics, rng.randint(0, min(_TOPICS_BEHIND, len(topics) - 1))))
        yield _mixed([change for change in waiting if change.topic not in behind], rng)
        waiting = [change for change in waiting if change.topic in behind]
        seen["windows_shuffled"] += 1
        size = len(waiting) + rng.randint(*_WINDOW)
    seen["windows_shuffled"] += 1
    yield _mixed(waiting, rng)


def _mixed(changes: Batch, rng: random.Random) -> Batch:
    """A random order of ``changes`` in which each key of each topic keeps its own."""
    queues: dict[tuple[str, bytes], deque[Change]] = defaultdict(deque)
    turns: list[tuple[str, bytes]] = []
    for change in changes:
        lane = (change.topic, change.key)
        queues[lane].append(change)
        turns.append(lane)
    rng.shuffle(turns)
    return [queues[lane].popleft() for lane in turns]
