"""Kafka, Kafka Connect and PostgreSQL as local processes, for the tests and for whoever has no containers.

It imports nothing of the rest of the testkit. Start with ``kafka.py``; ``jars.py`` says where the programs come from.
"""
