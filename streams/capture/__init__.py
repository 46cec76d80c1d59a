"""Debezium's records, read into typed rows: pure functions from bytes to values, no Kafka.

It may import ``mapping`` and ``core``. Start with ``envelope.py``, then ``reader.py``; ``rows.py`` has what comes out.
"""
