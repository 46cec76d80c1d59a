"""Metrics of the joins' state, and of what could not go on."""

from streams.observability.definitions import CounterOf, GaugeOf


class StateMetrics:
    """Joins and state."""

    table_rows = GaugeOf(name="owdd_table_rows", unit="rows", labels=("table",), meaning="State rows (RocksDB's estimate).")
    table_bytes = GaugeOf(name="owdd_table_bytes", unit="bytes", labels=("table",), meaning="State bytes (RocksDB's estimate).")
    recovery_read = GaugeOf(
        name="owdd_recovery_read_records",
        unit="records",
        labels=("table", "partition"),
        meaning="Records of the changelog that the last recovery of the partition's state has read.",
    )
    recovery_left = GaugeOf(
        name="owdd_recovery_left_records",
        unit="records",
        labels=("table", "partition"),
        meaning="Records of the changelog still to be read, at most, before the partition goes on; 0: it is open, or another "
        "worker's.",
        action="Level while above 0: the broker gives nothing, see the worker's log.",
    )


class SetAsideMetrics:
    """Set aside."""

    set_aside = GaugeOf(
        name="owdd_set_aside",
        unit="records",
        labels=("kind", "cause", "class"),
        meaning="What is set aside now: open dead letters (`dead_letter`), parked deliveries (`parked`), removals held back "
        "(`removals`). Read from the topics, so a restart changes nothing.",
        action="'owdd dlq list' and 'owdd removals show' list them; the class says whose matter it is.",
        shared=True,
    )
    held = GaugeOf(
        name="owdd_held",
        unit="documents",
        labels=("kind", "class"),
        meaning="Documents held now, by reason.",
        action="'owdd state held' lists them.",
    )
    held_age = GaugeOf(
        name="owdd_held_oldest_seconds", unit="seconds", labels=("kind",), meaning="Age of the oldest held document, by reason."
    )
    frozen = GaugeOf(
        name="owdd_frozen",
        unit="documents",
        labels=("kind", "class"),
        meaning="Published documents that can no longer be worked out, by reason. Their last state stays.",
        action="Above 0: see 'owdd state held'.",
    )
    frozen_age = GaugeOf(
        name="owdd_frozen_oldest_seconds",
        unit="seconds",
        labels=("kind",),
        meaning="Age of the oldest frozen document, by reason.",
    )
    removals = GaugeOf(
        name="owdd_removals",
        unit="removals",
        labels=("kind", "state"),
        meaning="Removals that are not made yet, by kind and state.",
        action="'held' above 0: a mass removal waits for a person, see 'owdd removals show'.",
    )
    consent_conflicts = CounterOf(
        name="owdd_consent_conflicts_total",
        unit="contacts",
        labels=("rule",),
        meaning="Contacts of which Orderwise began to say in, though they are unsubscribed in Dotdigital or were created so.",
        action="Nothing is changed; a person decides.",
    )
    opt_outs = CounterOf(
        name="owdd_opt_outs_total",
        unit="contacts",
        labels=("direction",),
        meaning="Contacts that became opted out: `in`, Dotdigital was found to have them unsubscribed or suppressed; `out`, "
        "Orderwise's word was passed on.",
        action="Many at once: look at the last campaign, or at what changed the column in Orderwise.",
    )
    consent_corrections = CounterOf(
        name="owdd_consent_corrections_total",
        unit="contacts",
        labels=("outcome",),
        meaning="Contacts created unsubscribed that Orderwise opted in later: `corrected`, or why not.",
    )
    corrections_stopped = GaugeOf(
        name="owdd_consent_corrections_stopped",
        unit="flag",
        meaning="A correction of consent had another result than expected; none is made until a person has looked.",
        action="1: OwddConsentCorrectionsStopped.",
        shared=True,
    )
    creations_waiting = GaugeOf(
        name="owdd_creations_waiting",
        unit="contacts",
        meaning="Contacts of which Orderwise has said neither in nor out; created when it has, or the first load is over.",
        action="Long after the first load: the connector's notifications are missing, or OWDD_CONSENT_WAIT is too long.",
    )
    undecided_creations = CounterOf(
        name="owdd_creations_undecided_total",
        unit="contacts",
        meaning="Contacts created without a word of Orderwise on consent, because OWDD_CONSENT_WAIT was over and the connector "
        "had not notified of the end of the contact table's first load.",
        action="While tables are still read: OWDD_CONSENT_WAIT is too short, and notifications are missing.",
    )
    dead_letters = CounterOf(
        name="owdd_dead_letters_total",
        unit="records",
        labels=("stage", "code"),
        meaning="Records dead-lettered since the process began; owdd_set_aside says how many are open.",
        action="Look them up by code.",
    )
    parked = CounterOf(
        name="owdd_parked_total",
        unit="deliveries",
        labels=("code",),
        meaning="Deliveries that Dotdigital rejected since the process began; owdd_set_aside says how many are parked.",
    )
    erased = CounterOf(
        name="owdd_erased_changes_total",
        unit="changes",
        labels=("stage",),
        meaning="Changes that named an erased person, and were emptied or dropped.",
        action="Rising: the ERP still contains the person.",
    )
