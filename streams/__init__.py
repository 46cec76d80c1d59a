"""owdd: Dotdigital follows Orderwise, change by change.

The packages, lowest layer first; no import runs upwards (``[tool.importlinter]`` in ``pyproject.toml`` holds them to it):

* ``core``: clock, errors, lanes, backoff. ``settings``: plain values.
* ``mapping``: the site's ``mapping.yaml``. ``observability``: metrics, logs, health.
* ``kafka``: topics, producer, reader. ``capture``: Debezium's bytes to typed rows. ``dotdigital``: the HTTP client.
* ``messages``: the wire formats between stages. ``connect``: Kafka Connect and the scripts for SQL Server.
* ``domain``: the rules, pure. ``engine``: a Faust stage, its table, its unit of work.
* ``ingest`` and ``agents``: the stages that read, join and project. ``dispatch``: the calls.
* ``operations``: the tools of an operator. ``worker`` and ``cli``: one process, one command line.

Start reading at ``worker.py``; ``docs/architecture.md`` walks one despatch through the code.
"""
