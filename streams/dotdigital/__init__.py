"""A client of Dotdigital's REST API: the calls that we make, typed, with one error class for each remedy.

It knows HTTP and Dotdigital's formats, and nothing of deliveries or of Kafka. It may import ``streams.mapping`` (for
``bootstrap``) and ``streams.core``. Start with ``client.py`` (the whole API), then ``transport.py`` (one call from the budget
to the response) and ``errors.py`` (the tree of failures).
"""
