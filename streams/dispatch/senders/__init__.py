"""Those who call Dotdigital: single calls, imports, follow-ups; and what becomes of their failures.

They take tasks from the outbox's queue and write every outcome to the topic ``deliveries``. Start with ``single_calls.py``.
"""
