"""Kafka, below everything that knows what a record means: topic names and settings, the producer, readers, the event loop.

It may import ``core``, ``settings``, ``mapping`` and ``observability``. Start with ``topics.py``.
"""
