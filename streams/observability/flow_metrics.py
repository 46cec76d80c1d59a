"""Metrics of workers, and of how fast changes come through."""

from typing import Final

from streams.observability.definitions import CounterOf, GaugeOf, HistogramOf

CHANGE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""From an urgent change (well below a second) to a backfill (an hour and more)."""


class WorkerMetrics:
    """Workers."""

    role = GaugeOf(
        name="owdd_role",
        unit="flag",
        labels=("role",),
        meaning="1 for each role that this process runs.",
        action="Missing for a role: nobody does its work.",
    )
    ready = GaugeOf(
        name="owdd_ready",
        unit="flag",
        labels=("part",),
        meaning="1 while the part is ready.",
        action="0 for long: it cannot get its state back.",
    )
    mapping = GaugeOf(
        name="owdd_mapping",
        unit="flag",
        labels=("digest",),
        meaning="1 for the mapping in force. Two at once: workers have different mappings.",
        action="Two for long: restart those with the old one.",
    )
    loop_lag = GaugeOf(
        name="owdd_loop_lag_seconds",
        unit="seconds",
        meaning="Delay of the event loop.",
        action="High: the worker is overloaded.",
    )
    rebalances = CounterOf(
        name="owdd_rebalances_total",
        unit="events",
        labels=("group",),
        meaning="Times that partitions were dealt out anew and this worker got some or none.",
        action="Rising without starts and stops of workers: one is too slow for its session, see owdd_loop_lag_seconds.",
    )
    units = CounterOf(name="owdd_cycles_total", unit="events", labels=("stage",), meaning="Batches committed, by stage.")


class FlowMetrics:
    """Lag and freshness."""

    lag_records = GaugeOf(
        name="owdd_consumer_lag_records",
        unit="records",
        labels=("group", "topic", "partition"),
        meaning="Records not yet processed, whether the group's readers run or not.",
        action="Rising: add workers.",
        shared=True,
    )
    lag_seconds = GaugeOf(
        name="owdd_consumer_lag_seconds",
        unit="seconds",
        labels=("group", "topic", "partition"),
        meaning="Age of the oldest unprocessed record; 0 where none waits.",
        action="Old: see the runbook of OwddLagOld.",
        shared=True,
    )
    end_offset = GaugeOf(
        name="owdd_consumer_end_offset",
        unit="records",
        labels=("group", "topic"),
        meaning="Next offset of the topic, all partitions added up. Its rate is what is produced.",
        shared=True,
    )
    group_offset = GaugeOf(
        name="owdd_consumer_offset",
        unit="records",
        labels=("group", "topic"),
        meaning="Next offset of the group, all partitions added up. Its rate is what is consumed.",
        action="Level while records wait: nobody reads, or a record is stuck.",
        shared=True,
    )
    latency = HistogramOf(
        name="owdd_change_to_delivery_seconds",
        unit="seconds",
        labels=("lane",),
        buckets=CHANGE_SECONDS,
        meaning="From the change's append to Kafka to Dotdigital's response.",
    )
    change_step = HistogramOf(
        name="owdd_change_step_seconds",
        unit="seconds",
        labels=("step", "lane"),
        buckets=CHANGE_SECONDS,
        meaning="Age of a change when a step was done, of one change of each batch: `captured` counts from the commit in the "
        "database to Kafka, `canary` from there to the end, the others from Kafka on. Times that are nonsense are left out.",
        action="The step whose age jumps is the one to look at.",
    )
    canary_age = GaugeOf(
        name="owdd_canary_age_seconds",
        unit="seconds",
        labels=("partition",),
        meaning="Time since the newest canary began that came through all stages to the last step before a call. One is sent "
        "each minute; it begins with the newest heartbeat row of the database, where that is watched.",
        action="Minutes: no change comes through either; the first stage whose lag grows is the one to look at.",
    )
    oldest_undelivered = GaugeOf(
        name="owdd_oldest_undelivered_seconds",
        unit="seconds",
        labels=("lane",),
        meaning="Age of the oldest change that waits for its delivery, removals excepted; 0: none waits.",
        action="Urgent or live above a minute: calls fail, or the budget is used up.",
        shared=True,
    )
    changes = CounterOf(name="owdd_changes_total", unit="changes", labels=("stage",), meaning="Changes applied, by stage.")
    desired = CounterOf(
        name="owdd_desired_changes_total",
        unit="changes",
        meaning="Changes of what Dotdigital should have, as the joins worked them out. By owdd_delivered_total it gives the "
        "changes that one delivery carried.",
    )
    skipped = CounterOf(
        name="owdd_stale_changes_total",
        unit="changes",
        labels=("stage",),
        meaning="Changes skipped because the stored state is newer.",
    )
    outdated = CounterOf(
        name="owdd_outdated_records_total",
        unit="records",
        labels=("stage",),
        meaning="Records left out: a worker emitted them after it had been replaced.",
        action="Rising: workers are stopped and continued.",
    )
