"""The protocol's topics between the source database and ingest: the connector writes them, as Debezium does."""

from typing import Final

from streams.kafka.topics import CAPTURED_ROWS, CHANGE_TOPIC, KEPT_FOR_EVER
from streams.messages.contracts import Participant, TopicContract

_ONE = "one partition"
CAPTURE_TOPICS: Final = (
    TopicContract(
        "<prefix>.<database>.<schema>.<table>",
        "the row's primary key (JSON)",
        "Debezium envelope (JSON)",
        (Participant.CONNECTOR, Participant.OPERATOR),
        (Participant.INGEST,),
        CAPTURED_ROWS,
        "captured rows, keyed by primary key",
        "One per mapped table: the source of everything else. A rebuild begins with them. `owdd reconcile --rows` appends "
        "deletions that capture has missed.",
        "Kafka's own, by key",
    ),
    *(
        TopicContract(name, key, "Debezium's (JSON)", producers, consumers, config, purpose, why, _ONE)
        for name, key, producers, consumers, config, purpose, why in (
            (
                "<prefix>.<database>.owdd.heartbeat",
                "the row's primary key",
                (Participant.CONNECTOR,),
                (Participant.GUARD,),
                CHANGE_TOPIC,
                "the database's heartbeat, through its change log",
                "Tells a quiet shop from a capture that stopped.",
            ),
            (
                "__debezium-heartbeat.<prefix>",
                "server name",
                (Participant.CONNECTOR,),
                (Participant.GUARD,),
                CHANGE_TOPIC,
                "the connector's heartbeat",
                "The connector commits its offset with it while no row changes, and the guard sees that it runs.",
            ),
            (
                "<prefix>",
                "database name",
                (Participant.CONNECTOR,),
                (),
                CHANGE_TOPIC,
                "changed tables",
                "The connector writes it; for people who look for a changed table.",
            ),
            (
                "<prefix>.notifications",
                "none",
                (Participant.CONNECTOR,),
                (Participant.INGEST,),
                CHANGE_TOPIC,
                "the connector's notifications",
                "Says when the contact table was read whole. For people: snapshots, and capture instances that changed.",
            ),
            (
                "<prefix>.signals",
                "the prefix",
                (Participant.OPERATOR,),
                (Participant.CONNECTOR,),
                CHANGE_TOPIC,
                "signals to the connector",
                "`owdd connectors snapshot` asks for incremental snapshots.",
            ),
            (
                "<prefix>.schema-history",
                "none",
                (Participant.CONNECTOR,),
                (Participant.CONNECTOR,),
                KEPT_FOR_EVER,
                "the connector's schema history",
                "Lost or shortened, the connector cannot start.",
            ),
        )
    ),
)
"""The topics between the source database and ingest; ``<prefix>`` is ``source.topic_prefix`` of the mapping."""
