"""The streaming core: Faust for groups, assignment and delivery; recovery, batches, tables and acknowledgement are ours.

Every use of something private to Faust or aiokafka lives in this package, and ``tests/quirks`` says which behaviour of
theirs each one stands on. It may import ``messages``, ``kafka`` and what lies below. Start with ``stage.py``, whose order of
commit everything relies on, then ``unit_of_work.py``.
"""
