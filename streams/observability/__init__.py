"""Metrics, health pages and logs for the operator.

It may import ``streams.mapping``, ``streams.settings`` and ``streams.core``. Start with ``metrics.py``: every metric, with its
purpose and, where it helps, the reaction that it calls for.
"""
