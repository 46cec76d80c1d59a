"""Faust applications, set up so that nothing is lost.

The settings that differ from Faust's defaults, and why: ``stream_wait_empty=False`` together with ``noack`` streams (else a
stuck event blocks shutdown for ever, and an automatic ack loses the event in hand), raw bytes everywhere (a decode error
inside Faust loses the record), no topic declaration (``owdd topics apply`` owns topics), no web server (ours serves
metrics and health).
"""

import faust

from streams.engine.credentials import faust_credentials
from streams.engine.transport import install
from streams.kafka.security import KafkaConfig
from streams.settings import Settings


def create_app(app_id: str, settings: Settings) -> faust.App:
    """A Faust application without agents; it never has tables (``streams.engine.opening``)."""
    app = faust.App(
        app_id,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka_bootstrap.split(",")],
        broker_credentials=faust_credentials(KafkaConfig.of(settings)),
        store="memory://",
        datadir=str(settings.data_dir.absolute() / app_id),
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        processing_guarantee="at_least_once",
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 5,
        broker_rebalance_timeout=max(settings.session_timeout * 2, 10.0),
        broker_request_timeout=max(90.0, settings.session_timeout + 10),
        consumer_auto_offset_reset="earliest",
        # What is fetched and not delivered yet: so much for each partition, compressed, and so many records unpacked.
        consumer_max_fetch_size=2**20,
        broker_max_poll_records=100,
        producer_request_timeout=60.0,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.finalize()
    install(app)
    return app


async def crash_of(app: faust.App) -> None:
    """Wait until the application crashes; Faust has no public way to do so.

    Raises:
        RuntimeError: it crashed, from the reason that Faust gives.
    """
    await app._crashed.wait()
    raise RuntimeError(f"{app.conf.id} crashed") from app.crash_reason
