"""The state of every delivery: what should be in Dotdigital, what is, and the queue that follows from the difference.

It makes no call and knows no client. It may import ``domain``, ``messages``, ``engine`` and what lies below.
Start with ``handler.py``.
"""
