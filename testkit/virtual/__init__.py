"""Dispatch in virtual time: traces played against the sandbox, beside an offline optimum.

It may import the product and ``sandbox``. Start with ``trace.py`` (the input) and ``local_broker.py`` (Kafka without a broker).
"""
