"""Metrics, health and logs for the operator.

It may import ``core`` and values of ``settings``. Start with ``metrics.py``: every metric, with what to do about it.
"""
