"""*Delivery and budget*: what does Dotdigital take, and what does it cost?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row, quantile, rate, rise

DELIVERY: Final = Board(
    uid="owdd-delivery",
    title="Delivery and budget",
    description="What does Dotdigital take, how fast, and who uses up the account's budget?",
    rows=(
        Row(
            "Deliveries",
            (
                Panel(
                    title="Waiting to be sent, by lane",
                    description=(
                        "Tasks that wait for their quiet time or their turn, or are in flight. Urgent not near zero: "
                        "Dotdigital is slow, or refuses; look at calls."
                    ),
                    unit="short",
                    queries=(Query("sum by (lane) (owdd_pending)", "{{lane}}"), Query("sum(owdd_in_flight)", "in flight")),
                    alert="OwddDeliveryStalled",
                ),
                Panel(
                    title="Changes that one delivery carried",
                    description=(
                        "Of five minutes: debounce and unchanged content spare the other calls. Below 1: a backlog is "
                        "delivered; 0: nothing is."
                    ),
                    unit="none",
                    queries=(
                        Query(
                            "sum(rate(owdd_desired_changes_total[5m])) "
                            "/ (sum(rate(owdd_delivered_total[5m])) > 0) or vector(0)",
                            "changes a delivery",
                        ),
                    ),
                ),
                Panel(
                    title="Delivered, by kind and outcome",
                    description=(
                        "A second. Many contacts created at once: a new mapping or an emptied account; owdd pause if nobody "
                        "intended it."
                    ),
                    unit="ops",
                    queries=(Query(rate("owdd_delivered_total", "kind", "outcome"), "{{kind}} {{outcome}}"),),
                ),
                Panel(
                    title="Changes for each delivery",
                    description=(
                        "Changes that the outbox took for each delivery that it made: what the quiet time saves. Near 1: it "
                        "saves nothing."
                    ),
                    unit="none",
                    queries=(
                        Query(
                            'sum(increase(owdd_changes_total{stage="outbox"}[1h]))'
                            " / sum(increase(owdd_delivered_total[1h])) > 0 or vector(0)",
                            "changes",
                        ),
                    ),
                ),
                Panel(
                    title="Refused, by code",
                    description=(
                        "Deliveries parked in an hour, by Dotdigital's code. Hundreds with one code: a wrong mapping or "
                        "account; owdd pause, then the runbook."
                    ),
                    unit="none",
                    queries=(Query(rise("owdd_parked_total", "code"), "{{code}}"),),
                    alert="OwddParkedMany",
                ),
                Panel(
                    title="Removals not made yet",
                    description=(
                        "What Orderwise no longer wants. Held above 0: more than usual would go; a person decides, see owdd "
                        "removals show."
                    ),
                    unit="none",
                    queries=(Query("sum by (kind, state) (owdd_removals)", "{{kind}} {{state}}"),),
                    alert="OwddRemovalsHeld",
                ),
                Panel(
                    title="Paused by a person",
                    description=(
                        "1: all writes wait but opt-outs and erasures; 2: these too. Above 0 without a reason: owdd resume."
                    ),
                    unit="none",
                    queries=(Query("max(owdd_paused)", "paused"),),
                    alert="OwddPaused",
                ),
            ),
        ),
        Row(
            "Calls",
            (
                Panel(
                    title="Does Dotdigital answer?",
                    description=(
                        "1: it answers and lets us in. 0: the page /health/ready of dispatch says why, and so does owdd "
                        "dotdigital plan."
                    ),
                    unit="none",
                    queries=(Query("min by (endpoint) (owdd_dotdigital_up)", "{{endpoint}}"),),
                    limits=(1,),
                    low_is_bad=True,
                    alert="OwddAccessRefused",
                ),
                Panel(
                    title="Calls, by status",
                    description=(
                        "A second. 401: credentials. 403: region or a permission. 429: the budget is used up. 5xx: a failure "
                        "at Dotdigital; calls are repeated."
                    ),
                    unit="reqps",
                    queries=(
                        Query(rate("owdd_dotdigital_call_seconds_count", "operation", "status"), "{{operation}} {{status}}"),
                    ),
                    alert="OwddDotdigitalFails",
                ),
                Panel(
                    title="Time of a call, 95 % within",
                    description=(
                        "Seconds instead of tenths: Dotdigital is slow; see its status page. Tasks go by import as soon as "
                        "that is quicker."
                    ),
                    unit="s",
                    queries=(Query(quantile(0.95, "owdd_dotdigital_call_seconds", "operation"), "{{operation}}"),),
                ),
                Panel(
                    title="Calls to be repeated, by reason",
                    description=(
                        "A second. access: correct credentials or region, nothing is sent until then. missing: something that "
                        "a delivery needs does not exist yet."
                    ),
                    unit="ops",
                    queries=(Query(f"{rate('owdd_retries_total', 'reason')} or vector(0)", "{{reason}}"),),
                    alert="OwddAccessRefused",
                ),
            ),
        ),
        Row(
            "Budget",
            (
                Panel(
                    title="Calls a minute that the account has",
                    description=(
                        "The limit, and the rest of it in this minute, as Dotdigital reports. Left always near 0: work waits; "
                        "find out whether another system uses it."
                    ),
                    unit="short",
                    queries=(
                        Query("max by (tier) (owdd_budget_limit)", "{{tier}} limit"),
                        Query("min by (tier) (owdd_budget_remaining)", "{{tier}} left"),
                    ),
                    alert="OwddBudgetExhausted",
                ),
                Panel(
                    title="Calls allowed a minute, by tier and lane",
                    description=(
                        "Well below the limit while calls wait: another system uses the same budget; find out which, and when."
                    ),
                    unit="short",
                    queries=(Query(f"60 * {rate('owdd_budget_calls_total', 'tier', 'lane')}", "{{tier}} {{lane}}"),),
                ),
                Panel(
                    title="Waiting for the budget, by lane",
                    description=(
                        "Calls that are ready and may not be made yet. bulk for hours is a backfill. urgent above 0: raise "
                        "OWDD_BUDGET_URGENT."
                    ),
                    unit="short",
                    queries=(Query("sum by (lane) (owdd_budget_waiting)", "{{lane}}"),),
                    alert="OwddBudgetExhausted",
                ),
                Panel(
                    title="Refused for the budget, by tier",
                    description="In an hour. More than a few: another system uses the budget, or a worker's clock is wrong.",
                    unit="none",
                    queries=(Query(rise("owdd_budget_refused_total", "tier"), "{{tier}}"),),
                    alert="OwddBudgetTakenByOthers",
                ),
            ),
        ),
        Row(
            "Imports and read-back",
            (
                Panel(
                    title="Imports that ended",
                    description=(
                        "In an hour. failed: its items may go by import once more. rejected or over-limit: ask Dotdigital. "
                        "running: it was given up."
                    ),
                    unit="none",
                    queries=(Query(rise("owdd_imports_total", "kind", "state"), "{{kind}} {{state}}"),),
                    alert="OwddImportsFail",
                ),
                Panel(
                    title="Oldest import",
                    description=(
                        "Age of the oldest import whose report has not come. Half an hour: see Dotdigital's status page."
                    ),
                    unit="s",
                    queries=(Query("max(owdd_import_oldest_seconds)", "oldest"),),
                    limits=(1800,),
                    alert="OwddImportStuck",
                ),
                Panel(
                    title="Rows of imports",
                    description=(
                        "A second: done, or to be sent again. Many again: imports fail, or their rows are refused; look at "
                        "codes."
                    ),
                    unit="ops",
                    queries=(Query(rate("owdd_import_rows_total", "kind", "state"), "{{kind}} {{state}}"),),
                    alert="OwddImportsFail",
                ),
                Panel(
                    title="Since Dotdigital was read back",
                    description=(
                        "Age of our knowledge of its contacts. Far above OWDD_READBACK_SECONDS: see the log of the dispatch "
                        "worker with partition 0."
                    ),
                    unit="s",
                    queries=(Query("min(owdd_readback_age_seconds)", "read back"),),
                    limits=(1800,),
                    alert="OwddReadbackOld",
                ),
                Panel(
                    title="Contacts read back, by listing",
                    description=(
                        "A second. unsubscribed or suppressed high: something went wrong with a campaign; ask marketing."
                    ),
                    unit="ops",
                    queries=(Query(rate("owdd_readback_contacts_total", "listing"), "{{listing}}"),),
                ),
            ),
        ),
        Row(
            "Comparison with Dotdigital",
            (
                Panel(
                    title="Differences, by class",
                    description=(
                        "What the last complete comparison found. Above 0: owdd reconcile --show lists them, --full --execute "
                        "puts them right."
                    ),
                    unit="none",
                    queries=(Query("max by (class) (owdd_drift)", "{{class}}"),),
                    alert="OwddDrift",
                ),
                Panel(
                    title="Age of differences, by class",
                    description=(
                        "For how long every comparison has found some of it. Weeks: nobody puts it right; see the runbook."
                    ),
                    unit="s",
                    queries=(Query("max by (class) (owdd_drift_oldest_seconds)", "{{class}}"),),
                    alert="OwddDriftOrphans",
                ),
                Panel(
                    title="Since everything was compared",
                    description=(
                        "Beside the interval of the schedule. Twice as old: comparisons fail; owdd reconcile --show says why."
                    ),
                    unit="s",
                    queries=(
                        Query("max(owdd_reconcile_age_seconds)", "last comparison"),
                        Query("max(owdd_reconcile_interval_seconds)", "interval"),
                        Query("sum(owdd_reconcile_running)", "under way"),
                    ),
                    alert="OwddComparisonOld",
                ),
            ),
        ),
    ),
)
