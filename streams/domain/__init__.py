"""Rules about orders, buyers and contacts: pure functions over typed rows; no Kafka, no clock, no I/O.

It may import ``messages``, ``capture`` (for its rows), ``mapping`` and ``core``. Start with ``versioned.py``, on which
everything stands, then ``orders.py``, ``buyers.py`` and ``contact_projection.py``, in the order in which a change passes them.
"""
