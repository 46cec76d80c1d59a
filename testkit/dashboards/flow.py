"""*Lag and flow*: where is it stuck?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row, quantile, rate, records_behind, rise

FLOW: Final = Board(
    uid="owdd-flow",
    title="Lag and flow",
    description="Where is it stuck? Lag by group, topic and partition, and how long each step of a change takes.",
    rows=(
        Row(
            "Lag",
            (
                Panel(
                    title="Records behind, by topic",
                    description=(
                        "Unprocessed records, also of groups that nobody runs. Rising while workers are up: add replicas of "
                        "the role that reads the topic."
                    ),
                    unit="short",
                    queries=(Query(records_behind("group", "topic"), "{{group}} {{topic}}"),),
                    width=12,
                    alert="OwddLagOld",
                ),
                Panel(
                    title="Age of the oldest record, by topic",
                    description=(
                        "Of the record at the committed offset. Rising as fast as the clock: the topic's consumer has "
                        "stopped; look at its log."
                    ),
                    unit="s",
                    queries=(Query("max by (group, topic) (owdd_consumer_lag_seconds)", "{{group}} {{topic}}"),),
                    width=12,
                    limits=(600,),
                    alert="OwddLagOld",
                ),
                Panel(
                    title="Records behind, by partition",
                    description=(
                        "Partitions in which records wait. Only one: a record is stuck there, or one key has too much work; "
                        "look at the log of its owner."
                    ),
                    unit="short",
                    queries=(
                        Query(
                            "max by (topic, partition) (owdd_consumer_lag_records) > 0 or vector(0)", "{{topic}} {{partition}}"
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    title="Time until the backlog is gone",
                    description=(
                        "At the speed of the last minutes. No line: nothing waits, or the backlog does not shrink; compare "
                        "produced and consumed."
                    ),
                    unit="s",
                    queries=(
                        Query(
                            f"{records_behind('group', 'topic')} / (max by (group, topic) (rate(owdd_consumer_offset[5m]))"
                            " - max by (group, topic) (rate(owdd_consumer_end_offset[5m])) > 0) or vector(0)",
                            "{{group}} {{topic}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    title="Produced, by topic",
                    description=(
                        "Records a second that are written. A surge: a snapshot, or a mass change in Orderwise; the lag "
                        "follows."
                    ),
                    unit="ops",
                    queries=(Query("max by (topic) (rate(owdd_consumer_end_offset[$__rate_interval]))", "{{topic}}"),),
                    width=12,
                ),
                Panel(
                    title="Consumed, by topic",
                    description=(
                        "Records a second that the group is done with. Below produced: the backlog grows; add workers of the "
                        "role."
                    ),
                    unit="ops",
                    queries=(Query("max by (topic) (rate(owdd_consumer_offset[$__rate_interval]))", "{{topic}}"),),
                    width=12,
                ),
            ),
        ),
        Row(
            "How late is a change?",
            (
                Panel(
                    title="Change to delivery, by lane",
                    description=(
                        "From the append to Kafka to Dotdigital's response, 95 % and 99 % within. Urgent above 5 s or live "
                        "above 30 s: see the steps, then Delivery and budget."
                    ),
                    unit="s",
                    queries=(
                        Query(quantile(0.95, "owdd_change_to_delivery_seconds", "lane"), "{{lane}} 95 %"),
                        Query(quantile(0.99, "owdd_change_to_delivery_seconds", "lane"), "{{lane}} 99 %"),
                    ),
                    alert="OwddFreshnessBurnFast",
                ),
                Panel(
                    title="Age of a change after each step",
                    description=(
                        "Mean age when the step was done: captured counts from the commit in the database, the others from "
                        "Kafka. The step that jumps is the one to look at."
                    ),
                    unit="s",
                    queries=(
                        Query(
                            'sum by (step, lane) (rate(owdd_change_step_seconds_sum{lane!="bulk"}[$__rate_interval]))'
                            ' / sum by (step, lane) (rate(owdd_change_step_seconds_count{lane!="bulk"}[$__rate_interval]))',
                            "{{step}} {{lane}}",
                        ),
                    ),
                ),
                Panel(
                    title="Age of the canary, by partition",
                    description=(
                        "Since the newest one began that came through all stages. Above two minutes: what stops it stops "
                        "changes."
                    ),
                    unit="s",
                    queries=(Query("max by (partition) (owdd_canary_age_seconds)", "{{partition}}"),),
                    limits=(300,),
                    alert="OwddCanaryLate",
                ),
                Panel(
                    title="Oldest undelivered change, by lane",
                    description=(
                        "Of the deliveries that wait, removals excepted. Urgent or live above a minute: calls fail, or the "
                        "budget is used up."
                    ),
                    unit="s",
                    queries=(Query("max by (lane) (owdd_oldest_undelivered_seconds)", "{{lane}}"),),
                    alert="OwddDeliveryStalled",
                ),
            ),
        ),
        Row(
            "Work of the stages",
            (
                Panel(
                    title="Changes applied, by stage",
                    description=(
                        "A second. One stage flat while the stages before it work: look at its lag and its dead letters."
                    ),
                    unit="ops",
                    queries=(Query(rate("owdd_changes_total", "stage"), "{{stage}}"),),
                ),
                Panel(
                    title="Changes left out, by stage",
                    description=(
                        "Stale: the state was newer, normal after a restart. Outdated: a worker went on after it was "
                        "replaced; machines are suspended."
                    ),
                    unit="ops",
                    queries=(
                        Query(rate("owdd_stale_changes_total", "stage"), "{{stage}} stale"),
                        Query(rate("owdd_outdated_records_total", "stage"), "{{stage}} outdated"),
                    ),
                    alert="OwddWorkerReplaced",
                ),
                Panel(
                    title="Batches committed, by stage",
                    description="A second. Many small batches while records wait: commits are slow; look at the broker.",
                    unit="ops",
                    queries=(Query(rate("owdd_cycles_total", "stage"), "{{stage}}"),),
                ),
                Panel(
                    title="Event loop lag, by worker",
                    description=(
                        "Above a second: the worker has too little processor time; add a replica. At 60 s it ends itself."
                    ),
                    unit="s",
                    queries=(Query("max by (instance) (owdd_loop_lag_seconds)", "{{instance}}"),),
                    limits=(5,),
                    alert="OwddLoopBlocked",
                ),
                Panel(
                    title="Rebalances, by group",
                    description=(
                        "In an hour: partitions were dealt out anew. Without starts and stops of workers: one is too slow for "
                        "its session; see event loop lag."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_rebalances_total", "group"), "{{group}}"),),
                ),
                Panel(
                    title="Processor time, by worker",
                    description="Cores that each process uses. Near 1: it can do no more; add a worker of the role.",
                    unit="none",
                    queries=(Query('rate(process_cpu_seconds_total{job="owdd"}[$__rate_interval])', "{{instance}}"),),
                ),
                Panel(
                    title="Memory, by worker",
                    description=(
                        "Resident memory. Close to the limit of its container: raise the limit, or start another worker."
                    ),
                    unit="bytes",
                    queries=(Query('process_resident_memory_bytes{job="owdd"}', "{{instance}}"),),
                ),
            ),
        ),
    ),
)
