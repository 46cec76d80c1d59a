"""Reads Debezium's records into typed rows: pure functions from bytes to values, without Kafka.

It may import ``streams.mapping`` (which columns a site captures) and ``streams.core``. Start with ``envelope.py`` (one record),
then ``position.py`` (the order of the versions of a row) and ``reader.py`` (from columns to a typed row).
"""
