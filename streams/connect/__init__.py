"""Capture: the connector's configuration, the DBA's SQL, and the guard that keeps the connector running.

It may import ``kafka``, ``mapping``, ``observability``, ``settings`` and ``core``; no stage
imports it. Start with ``render.py``, then ``guard.py``.
"""
