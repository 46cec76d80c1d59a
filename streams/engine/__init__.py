"""The streaming core: Faust for groups, assignment and recovery; batches, tables and acknowledgement of our own.

Every use of something private to Faust or aiokafka lives in this package, and ``tests/quirks`` says which behaviour of
theirs each one stands on.
"""
