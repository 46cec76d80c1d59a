"""*Joins and state*: what waits for other rows, and how large is the state?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row

_ORPHANS: Final = 'kind=~".+_not_loaded|order_without_header|contact_without_customer|credit_without_order"'
"""Of the reasons for which documents are held, those that end when another row comes."""

JOINS: Final = Board(
    uid="owdd-joins",
    title="Joins and state",
    description="What waits for other rows, what can no longer be worked out, and the workers' state.",
    rows=(
        Row(
            "Documents that wait",
            (
                Panel(
                    title="Held documents, by reason",
                    description=(
                        "They wait instead of being guessed. unknown_*: add the value to the mapping and rebuild. "
                        "*_not_loaded and *_without_*: rows that have not arrived, normal for seconds."
                    ),
                    unit="short",
                    queries=(Query("sum by (kind) (owdd_held) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddHeldUnknownWord",
                ),
                Panel(
                    title="Oldest held document, by reason",
                    description=(
                        "How long the oldest has waited. Hours: a table is not captured, or the row is gone from Orderwise."
                    ),
                    unit="s",
                    queries=(Query("max by (kind) (owdd_held_oldest_seconds) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddHeldOld",
                ),
                Panel(
                    title="Frozen documents, by reason",
                    description=(
                        "Published before, and no longer to be worked out: their last state stays in Dotdigital. owdd state "
                        "held --frozen lists them."
                    ),
                    unit="short",
                    queries=(Query("sum by (kind) (owdd_frozen) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddFrozen",
                ),
                Panel(
                    title="Oldest frozen document, by reason",
                    description="How long the oldest has been frozen. Days: nobody has corrected the rows; see the runbook.",
                    unit="s",
                    queries=(Query("max by (kind) (owdd_frozen_oldest_seconds) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddFrozen",
                ),
                Panel(
                    title="Contacts that wait for the end of the first load",
                    description=(
                        "Orderwise has said neither in nor out of them yet. Long after the first load: the connector's "
                        "notifications are missing, or OWDD_CONSENT_WAIT is too long."
                    ),
                    unit="short",
                    queries=(
                        Query("sum(owdd_creations_waiting) or vector(0)", "waiting"),
                        Query(
                            "sum(increase(owdd_creations_undecided_total[1h])) or vector(0)",
                            "created without notification, per hour",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Orphans: rows whose other half has not come",
            (
                Panel(
                    title="Orphans, by kind",
                    description=(
                        "Parts of orders without a head, persons and orders without their account, credits without their "
                        "order, variants without their product. Normal for seconds."
                    ),
                    unit="short",
                    queries=(Query(f"sum by (kind) (owdd_held{{{_ORPHANS}}}) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddHeldOld",
                ),
                Panel(
                    title="Oldest orphan, by kind",
                    description="Hours: a table is not captured, or the other half is gone from Orderwise.",
                    unit="s",
                    queries=(Query(f"max by (kind) (owdd_held_oldest_seconds{{{_ORPHANS}}}) or vector(0)", "{{kind}}"),),
                    width=12,
                    alert="OwddHeldOld",
                ),
            ),
        ),
        Row(
            "State of the workers",
            (
                Panel(
                    title="State rows, by table",
                    description=(
                        "As RocksDB estimates them. A fall to zero without a rebuild: a directory was lost, and is being read "
                        "again from the changelog."
                    ),
                    unit="short",
                    queries=(Query("sum by (table) (owdd_table_rows)", "{{table}}"),),
                ),
                Panel(
                    title="State on disk, by table",
                    description="Nearing the disk's size: move it to a larger one; a worker that cannot write ends itself.",
                    unit="bytes",
                    queries=(Query("sum by (table) (owdd_table_bytes)", "{{table}}"),),
                ),
                Panel(
                    title="Recovery: records still to be read, by table",
                    description=(
                        "Of changelogs, at most, before their partitions go on. Level above 0: the broker gives nothing; "
                        "see the worker's log."
                    ),
                    unit="short",
                    queries=(Query("sum by (table) (owdd_recovery_left_records)", "{{table}}"),),
                    alert="OwddRecoveryLong",
                ),
                Panel(
                    title="Recovery: share that is read, by table",
                    description="Of the last recovery of each worker's partitions. At one: they are open.",
                    unit="percentunit",
                    queries=(
                        Query(
                            "(sum by (table) (owdd_recovery_read_records) / (sum by (table) (owdd_recovery_read_records) "
                            "+ sum by (table) (owdd_recovery_left_records) > 0)) or vector(1)",
                            "{{table}}",
                        ),
                    ),
                    alert="OwddRecoveryLong",
                ),
                Panel(
                    title="Parts that recover, by worker",
                    description=(
                        "1 while a part waits for its partitions or reads its state again. For more than ten minutes: look at "
                        "the worker's log."
                    ),
                    unit="none",
                    queries=(Query("1 - min by (instance, part) (owdd_ready)", "{{instance}} {{part}}"),),
                    alert="OwddNotReady",
                ),
            ),
        ),
    ),
)
