"""The account's budget of calls: quotas, the limiter that every call passes, and this worker's share of them.

It knows nothing of what is sent. It may import ``dotdigital`` and what lies below. Start with ``limiter.py``.
"""
