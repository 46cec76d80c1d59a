"""Metrics, health pages and logs for the operator.

It may import ``streams.mapping``, ``streams.settings`` and ``streams.core``. Start with ``definitions.py``: what is
said of every metric; the groups beside it (``flow_metrics.py`` and so on) define them, and ``metrics.py`` puts them together.
"""
