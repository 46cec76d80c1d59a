"""The testkit: everything that stands in for the world around the product, and checks the product's answers.

* ``sandbox``: an offline Dotdigital, a real HTTP server.
* ``simulate``: a made-up Orderwise shop that writes change events or SQL.
* ``oracle``: computes from the rows alone what Dotdigital must hold. It shares no code with the product's projections.
* ``local_services``: Kafka, Kafka Connect and PostgreSQL as local processes.
* ``virtual``: dispatch against the sandbox in virtual time.
* ``demo``: all of it together. ``cli``: the commands that ``owdd`` gains where the testkit is installed.

It may import the product (``streams``); the product never imports it. Start reading at ``demo/run.py``.
"""
