"""The commands that the testkit adds to ``owdd``, by the entry point group ``owdd.commands``.

It may import everything; nothing imports it but the entry point. Start with ``demo.py``, which runs all the rest.
"""

from streams.cli.groups import commands

COMMANDS = commands(
    demo=(
        "testkit.cli.demo:demo",
        "Start broker, sandbox and workers, simulate a shop, and verify the result. Everything is stopped afterwards.",
    ),
    demo_cdc=(
        "testkit.cli.demo:demo_cdc",
        "Like demo, with real capture: the shop writes SQL, and Debezium reads the log of its database (PostgreSQL).",
    ),
    drill=(
        "testkit.cli.drill:drill",
        "Run a shop before a real Prometheus, break one thing at a time, and append what came of it.",
    ),
    sandbox=("testkit.cli.sandbox:sandbox", "Run an offline Dotdigital for the bridge."),
    simulate=(
        "testkit.cli.simulate:simulate",
        "Run a seeded Orderwise shop: its snapshot, then its changes, as Debezium records on Kafka or as SQL.",
    ),
    soak=(
        "testkit.cli.soak:soak",
        "Play shops under faults, compare Dotdigital with the oracle and state with its changelogs, and append the results.",
    ),
    verify=(
        "testkit.cli.verify:verify",
        "Compute contacts, records, list and follow-ups from the rows alone and compare them with the sandbox, value by value.",
    ),
    kafka=("testkit.cli.kafka:app", "Run a local Kafka broker on this machine's Java."),
    connect=("testkit.cli.connect:app", "Run a local Kafka Connect worker with Debezium on this machine's Java."),
)
"""By name; none is imported before it is called."""
