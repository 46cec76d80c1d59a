"""Every metric of a worker, in one registry, each with a line on its purpose.

Labels never contain personal data: topics, lanes, codes and table names only.
"""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

# Seconds, from an urgent change (well below one) to a backfill (an hour and more).
_LATENCY = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("owdd_build", "The version that runs.", registry=registry).info({"version": version("owdd")})
        self.role = Gauge(
            "owdd_role",
            "1 for each role that this process runs. Missing for a role: nobody does its work.",
            ["role"],
            registry=registry,
        )
        self.ready = Gauge(
            "owdd_ready", "1 while the part is ready. 0 for long: it cannot get its state back.", ["part"], registry=registry
        )
        self.lag_records = Gauge(
            "owdd_consumer_lag_records",
            "Records not yet processed. Rising: add workers.",
            ["group", "topic"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "owdd_consumer_lag_seconds", "Age of the oldest unprocessed record.", ["group", "topic"], registry=registry
        )
        self.records = Counter("owdd_records_total", "Records read, by kind.", ["topic", "kind"], registry=registry)
        self.skipped = Counter(
            "owdd_stale_changes_total", "Changes skipped because the stored state is newer.", ["stage"], registry=registry
        )
        self.outdated = Counter(
            "owdd_outdated_records_total",
            "Records left out: a worker emitted them after it had been replaced. Rising: workers are stopped and continued.",
            ["stage"],
            registry=registry,
        )
        self.changes = Counter("owdd_changes_total", "Changes applied, by stage.", ["stage"], registry=registry)
        self.units = Counter("owdd_cycles_total", "Batches committed, by stage.", ["stage"], registry=registry)
        self.unplaced_rows = Counter(
            "owdd_unplaced_snapshot_rows_total",
            "Rows of a snapshot without a place in the log. They replace nothing. Rising after CDC was off: see 'Coming back'.",
            ["topic"],
            registry=registry,
        )
        self.dates_ignored = Counter(
            "owdd_dates_ignored_total",
            "Dates that mean nothing, by table: before source.first_year, or too far in the future. Many: look at the column.",
            ["table"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "owdd_dead_letters_total",
            "Records dead-lettered. Look them up by code.",
            ["stage", "code"],
            registry=registry,
        )
        self.erased = Counter(
            "owdd_erased_changes_total",
            "Changes that named an erased person, and were emptied or dropped. Rising: the ERP still contains the person.",
            ["stage"],
            registry=registry,
        )
        self.unknown_consent_words = Counter(
            "owdd_unknown_consent_words_total",
            "Contact rows whose consent word the mapping does not know. Above 0: add the word to opted_in or opted_out.",
            ["word"],
            registry=registry,
        )
        self.held = Gauge("owdd_held", "Documents held, by reason.", ["kind"], registry=registry)
        self.held_age = Gauge("owdd_held_oldest_seconds", "Age of the oldest held document.", ["kind"], registry=registry)
        self.frozen = Gauge(
            "owdd_frozen",
            "Published documents that can no longer be worked out, by reason. Their last state stays: see 'owdd state held'.",
            ["kind"],
            registry=registry,
        )
        self.frozen_age = Gauge("owdd_frozen_oldest_seconds", "Age of the oldest frozen document.", ["kind"], registry=registry)
        self.table_rows = Gauge("owdd_table_rows", "State rows (RocksDB's estimate).", ["table"], registry=registry)
        self.table_bytes = Gauge("owdd_table_bytes", "State bytes (RocksDB's estimate).", ["table"], registry=registry)
        self.pending = Gauge("owdd_pending", "Deliveries waiting to be sent.", ["lane"], registry=registry)
        self.paused = Gauge(
            "owdd_paused",
            "1 while a person has paused all writes to Dotdigital ('owdd pause'); 2: opt-outs and erasures too.",
            registry=registry,
        )
        self.removals = Gauge(
            "owdd_removals",
            "Removals that are not made yet, by kind and state. 'held' above 0: a mass removal waits for a person, see 'owdd "
            "removals show'.",
            ["kind", "state"],
            registry=registry,
        )
        self.in_flight = Gauge("owdd_in_flight", "Deliveries being sent.", registry=registry)
        self.delivered = Counter(
            "owdd_delivered_total", "Deliveries that Dotdigital accepted, by outcome.", ["kind", "outcome"], registry=registry
        )
        self.imports = Counter("owdd_imports_total", "Imports that ended, by state.", ["kind", "state"], registry=registry)
        self.import_rows = Counter(
            "owdd_import_rows_total",
            "Rows of imports: done, or to be sent again. Many 'again': imports fail.",
            ["kind", "state"],
            registry=registry,
        )
        self.parked = Counter("owdd_parked_total", "Deliveries that Dotdigital rejected, by code.", ["code"], registry=registry)
        self.retries = Counter("owdd_retries_total", "Calls to be repeated, by reason.", ["reason"], registry=registry)
        self.budget_limit = Gauge(
            "owdd_budget_limit", "The account's limit of calls a minute, by tier.", ["tier"], registry=registry
        )
        self.budget_remaining = Gauge(
            "owdd_budget_remaining",
            "The account's remaining calls in this minute. Always near 0: work waits for the budget.",
            ["tier"],
            registry=registry,
        )
        self.budget_calls = Counter(
            "owdd_budget_calls_total", "Calls that the budget allowed this worker.", ["tier", "lane"], registry=registry
        )
        self.budget_waiting = Gauge(
            "owdd_budget_waiting",
            "Calls that wait for the budget. Urgent above 0: raise its reserve.",
            ["lane"],
            registry=registry,
        )
        self.budget_refused = Counter(
            "owdd_budget_refused_total",
            "Calls that Dotdigital refused for the budget. Rising: another system uses it, or a clock is wrong.",
            ["tier"],
            registry=registry,
        )
        self.calls = Histogram(
            "owdd_dotdigital_call_seconds",
            "Calls to Dotdigital, by operation and status.",
            ["operation", "status"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 121),
            registry=registry,
        )
        self.latency = Histogram(
            "owdd_change_to_delivery_seconds",
            "From the change's append to Kafka to Dotdigital's response.",
            ["lane"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.readback_age = Gauge(
            "owdd_readback_age_seconds",
            "Time since the last read-back of Dotdigital's contacts. Rising: see the log of the worker with partition 0.",
            registry=registry,
        )
        self.readback_contacts = Counter(
            "owdd_readback_contacts_total", "Contacts read back, by listing.", ["listing"], registry=registry
        )
        self.loop_lag = Gauge(
            "owdd_loop_lag_seconds", "Delay of the event loop. High: the worker is overloaded.", registry=registry
        )
        # The capture guard's metrics have a label each, so that a worker without a guard exports none of them.
        self.connect_up = Gauge(
            "owdd_connect_up", "1 while Kafka Connect answers. 0: look at its worker.", ["connector"], registry=registry
        )
        self.connector_running = Gauge(
            "owdd_connector_running",
            "1 while the part runs. 0: 'owdd connectors status' shows the reason.",
            ["connector", "part"],
            registry=registry,
        )
        self.connector_restarts = Counter(
            "owdd_connector_restarts_total", "Restarts of failed parts by the guard.", ["connector"], registry=registry
        )
        self.restarts_exhausted = Gauge(
            "owdd_connector_restarts_exhausted",
            "1 when restarts did not help and a person must act: 'owdd connectors status', then 'restart'.",
            ["connector"],
            registry=registry,
        )
        self.heartbeat_age = Gauge(
            "owdd_capture_heartbeat_age_seconds",
            "Age of the newest heartbeat, at least. Only 'row' is old: CDC does not run, look at SQL Server Agent; "
            "'connector' too: look at the connector.",
            ["connector", "sign"],
            registry=registry,
        )
        self.offset_age = Gauge(
            "owdd_capture_offset_age_seconds",
            "Time since the connector's committed position last changed, at least. Old: after a crash it would start far back.",
            ["connector"],
            registry=registry,
        )
        self.retention_headroom = Gauge(
            "owdd_capture_retention_headroom_seconds",
            "Time until changes are deleted unread, if the connector stopped now. Low: raise CDC's retention first.",
            ["connector"],
            registry=registry,
        )
        self.guard_failures = Counter(
            "owdd_capture_guard_failures_total",
            "Failed checks of the guard. Rising: the metrics of the check are old.",
            ["connector", "what"],
            registry=registry,
        )
