"""*Overview*: is it healthy?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row, records_behind, set_aside

OVERVIEW: Final = Board(
    uid="owdd-overview",
    title="Overview",
    description="Is it healthy? Anything red has a runbook behind it.",
    rows=(
        Row(
            "At a glance",
            (
                Panel(
                    title="Roles without a worker",
                    description="Of ingest, agents and dispatch. Above 0: nobody does that work; start a worker of the role.",
                    unit="none",
                    queries=(
                        Query('3 - count(count by (role) (owdd_role{role=~"ingest|agents|dispatch"})) or vector(3)', "missing"),
                    ),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddRoleDown",
                ),
                Panel(
                    title="Oldest unprocessed record",
                    description=(
                        "Anywhere in the pipeline. Red for minutes: see Lag and flow; a consumer is slow or has stopped."
                    ),
                    unit="s",
                    queries=(Query("max(owdd_consumer_lag_seconds)", "oldest"),),
                    kind="stat",
                    width=4,
                    limits=(60, 600),
                    alert="OwddLagOld",
                ),
                Panel(
                    title="Oldest undelivered change",
                    description="Of the urgent and live lanes. Red: Dotdigital does not take them; see Delivery and budget.",
                    unit="s",
                    queries=(Query('max(owdd_oldest_undelivered_seconds{lane=~"urgent|live"}) or vector(0)', "oldest"),),
                    kind="stat",
                    width=4,
                    limits=(60, 600),
                    alert="OwddDeliveryStalled",
                ),
                Panel(
                    title="Since capture was last seen",
                    description=(
                        "Age of the heartbeat row that came back through the database's log. Red: see Capture. Empty without "
                        "OWDD_CONNECT_URL."
                    ),
                    unit="s",
                    queries=(Query('min(owdd_capture_heartbeat_age_seconds{sign="row"})', "heartbeat"),),
                    kind="stat",
                    width=4,
                    limits=(60, 120),
                    alert="OwddCaptureStalled",
                ),
                Panel(
                    title="Since Dotdigital was read",
                    description=(
                        "Age of our knowledge of its contacts. Far above OWDD_READBACK_SECONDS: see the log of the dispatch "
                        "worker with partition 0."
                    ),
                    unit="s",
                    queries=(Query("min(owdd_readback_age_seconds)", "read back"),),
                    kind="stat",
                    width=4,
                    limits=(1800,),
                    alert="OwddReadbackOld",
                ),
                Panel(
                    title="Paused by a person",
                    description=(
                        "1: all writes to Dotdigital wait but opt-outs and erasures; 2: these too. Ask who paused it, then "
                        "owdd resume."
                    ),
                    unit="none",
                    queries=(Query("max(owdd_paused)", "paused"),),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddPaused",
                ),
            ),
        ),
        Row(
            "What is set aside now?",
            (
                Panel(
                    title="Dead letters",
                    description=(
                        "Records that could not be processed, and that nobody has settled. They delay no other change. See "
                        "Data quality for the codes."
                    ),
                    unit="none",
                    queries=(Query(set_aside("dead_letter"), "open"),),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddIngestDeadLetters",
                ),
                Panel(
                    title="Parked deliveries",
                    description="Deliveries that Dotdigital refused. Correct the cause; owdd dlq retry sends them again.",
                    unit="none",
                    queries=(Query(set_aside("parked"), "parked"),),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddParked",
                ),
                Panel(
                    title="Removals held back",
                    description=(
                        "More would be removed than usual. Nothing of it goes until a person decides: owdd removals show."
                    ),
                    unit="none",
                    queries=(Query(set_aside("removals"), "held back"),),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddRemovalsHeld",
                ),
                Panel(
                    title="Held documents",
                    description=(
                        "They wait for rows or words, and were never published. Hundreds for hours: see Joins and state."
                    ),
                    unit="none",
                    queries=(Query("sum(owdd_held) or vector(0)", "held"),),
                    kind="stat",
                    width=4,
                    alert="OwddHeldOld",
                ),
                Panel(
                    title="Frozen documents",
                    description=(
                        "Their last state stays in Dotdigital, because it can no longer be worked out: owdd state held "
                        "--frozen."
                    ),
                    unit="none",
                    queries=(Query("sum(owdd_frozen) or vector(0)", "frozen"),),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddFrozen",
                ),
                Panel(
                    title="Unreadable addresses",
                    description=(
                        "Held, frozen or dead-lettered for an e-mail field that names no address. Correct it in Orderwise."
                    ),
                    unit="none",
                    queries=(
                        Query(
                            '(sum(owdd_held{kind="unreadable_address"}) or vector(0))'
                            ' + (sum(owdd_frozen{kind="unreadable_address"}) or vector(0))'
                            ' + (sum(max by (kind) (owdd_set_aside{cause="unreadable_address"})) or vector(0))',
                            "unreadable",
                        ),
                    ),
                    kind="stat",
                    width=4,
                    limits=(1,),
                    alert="OwddUnreadableAddresses",
                ),
            ),
        ),
        Row(
            "How does it go?",
            (
                Panel(
                    title="Records behind, by group",
                    description="Unprocessed records, whether the group's readers run or not. Rising: see Lag and flow.",
                    unit="short",
                    queries=(Query(records_behind("group"), "{{group}}"),),
                    alert="OwddLagOld",
                ),
                Panel(
                    title="Deliveries that wait, by lane",
                    description=(
                        "Tasks that wait for their quiet time or their turn. A backfill shows in bulk for hours, which is "
                        "normal."
                    ),
                    unit="short",
                    queries=(Query("sum by (lane) (owdd_pending)", "{{lane}}"),),
                    alert="OwddDeliveryStalled",
                ),
                Panel(
                    title="Whose matter is it?",
                    description=(
                        "Everything that is set aside, by class. data: marketing operations; the rest: an engineer. waiting "
                        "comes right by itself."
                    ),
                    unit="short",
                    queries=(
                        Query(
                            "sum by (class) (max by (kind, cause, class) (owdd_set_aside)) or vector(0)",
                            "{{class}}: letters, parked, removals",
                        ),
                        Query("sum by (class) (owdd_held) or vector(0)", "{{class}}: held"),
                        Query("sum by (class) (owdd_frozen) or vector(0)", "{{class}}: frozen"),
                    ),
                ),
                Panel(
                    title="Workers, by role and version",
                    description=(
                        "Processes that run each role. Two versions at once: an upgrade is under way; for long: it is stuck."
                    ),
                    unit="none",
                    queries=(
                        Query(
                            "sum by (role, version) (owdd_role * on (instance) group_left (version) owdd_build_info)",
                            "{{role}} {{version}}",
                        ),
                    ),
                    alert="OwddRoleDown",
                ),
                Panel(
                    title="Workers that do not answer",
                    description="Targets that Prometheus cannot reach. For minutes: look at the log of that worker.",
                    unit="none",
                    queries=(Query('count(up{job="owdd"} == 0) or vector(0)', "down"),),
                    limits=(1,),
                    alert="OwddWorkerDown",
                ),
                Panel(
                    title="Parts that are not ready",
                    description=(
                        "They wait for their partitions or read their state again. For more than ten minutes: look at the log."
                    ),
                    unit="none",
                    queries=(Query("sum by (part) (1 - owdd_ready)", "{{part}}"),),
                    alert="OwddNotReady",
                ),
            ),
        ),
    ),
)
