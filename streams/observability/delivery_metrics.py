"""Metrics of the outbox and of the calls to Dotdigital."""

from streams.observability.definitions import CounterOf, GaugeOf, HistogramOf


class DeliveryMetrics:
    """Delivery."""

    pending = GaugeOf(name="owdd_pending", unit="deliveries", labels=("lane",), meaning="Deliveries waiting to be sent.")
    paused = GaugeOf(
        name="owdd_paused",
        unit="flag",
        meaning="1 while a person has paused all writes to Dotdigital ('owdd pause'); 2: opt-outs and erasures too.",
        action="Above 0 for no reason: 'owdd resume'.",
    )
    in_flight = GaugeOf(name="owdd_in_flight", unit="deliveries", meaning="Deliveries being sent.")
    delivered = CounterOf(
        name="owdd_delivered_total",
        unit="deliveries",
        labels=("kind", "outcome"),
        meaning="Deliveries that Dotdigital accepted, by outcome.",
    )
    imports = CounterOf(
        name="owdd_imports_total", unit="events", labels=("kind", "state"), meaning="Imports that ended, by state."
    )
    import_age = GaugeOf(
        name="owdd_import_oldest_seconds",
        unit="seconds",
        meaning="Age of the oldest import whose report has not come; 0: none is under way.",
        action="Half an hour and more: Dotdigital does not finish it; after OWDD_IMPORT_PATIENCE its rows go by single calls.",
        shared=True,
    )
    import_rows = CounterOf(
        name="owdd_import_rows_total",
        unit="rows",
        labels=("kind", "state"),
        meaning="Rows of imports: done, or to be sent again.",
        action="Many 'again': imports fail.",
    )
    retries = CounterOf(name="owdd_retries_total", unit="calls", labels=("reason",), meaning="Calls to be repeated, by reason.")


class DriftMetrics:
    """Comparison with Dotdigital."""

    drift = GaugeOf(
        name="owdd_drift",
        unit="differences",
        labels=("class",),
        meaning="Differences between Dotdigital and what was delivered, by class, in the last complete comparison.",
        action="'owdd reconcile --show' lists them, 'owdd reconcile --full --execute' puts them right.",
        shared=True,
    )
    drift_age = GaugeOf(
        name="owdd_drift_oldest_seconds",
        unit="seconds",
        labels=("class",),
        meaning="For how long every complete comparison has found some differences of the class.",
        shared=True,
    )
    reconcile_age = GaugeOf(
        name="owdd_reconcile_age_seconds",
        unit="seconds",
        meaning="Age of the last complete comparison; before the first, since when there is a schedule. 0: there is none.",
        action="Older than two intervals: 'owdd reconcile --show' says what became of the last ones.",
        shared=True,
    )
    reconcile_every = GaugeOf(
        name="owdd_reconcile_interval_seconds",
        unit="seconds",
        meaning="Seconds between two complete comparisons (OWDD_RECONCILE_HOURS). 0: none by itself, or none is possible.",
        shared=True,
    )
    reconcile_running = GaugeOf(
        name="owdd_reconcile_running",
        unit="flag",
        meaning="1 while this worker compares.",
    )


class DotdigitalMetrics:
    """Dotdigital and its budget."""

    dotdigital_up = GaugeOf(
        name="owdd_dotdigital_up",
        unit="flag",
        labels=("endpoint",),
        meaning="1 while Dotdigital answers and lets us in.",
        action="0: `/health/ready` says why.",
    )
    calls = HistogramOf(
        name="owdd_dotdigital_call_seconds",
        unit="seconds",
        labels=("operation", "status"),
        buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 121),
        meaning="Calls to Dotdigital, by operation and status.",
    )
    budget_limit = GaugeOf(
        name="owdd_budget_limit", unit="calls", labels=("tier",), meaning="The account's limit of calls a minute, by tier."
    )
    budget_remaining = GaugeOf(
        name="owdd_budget_remaining",
        unit="calls",
        labels=("tier",),
        meaning="The account's remaining calls in this minute.",
        action="Always near 0: work waits for the budget.",
    )
    budget_calls = CounterOf(
        name="owdd_budget_calls_total",
        unit="calls",
        labels=("tier", "lane"),
        meaning="Calls that the budget allowed this worker.",
    )
    budget_waiting = GaugeOf(
        name="owdd_budget_waiting",
        unit="calls",
        labels=("lane",),
        meaning="Calls that wait for the budget.",
        action="Urgent above 0: raise its reserve.",
    )
    budget_refused = CounterOf(
        name="owdd_budget_refused_total",
        unit="calls",
        labels=("tier",),
        meaning="Calls that Dotdigital refused for the budget.",
        action="Rising: another system uses it, or a clock is wrong.",
    )
    readback_age = GaugeOf(
        name="owdd_readback_age_seconds",
        unit="seconds",
        meaning="Time since the last read-back of Dotdigital's contacts.",
        action="Rising: see the log of the worker with partition 0.",
    )
    readback_contacts = CounterOf(
        name="owdd_readback_contacts_total", unit="contacts", labels=("listing",), meaning="Contacts read back, by listing."
    )
