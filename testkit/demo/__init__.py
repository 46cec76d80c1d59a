"""The whole product on one machine: broker, sandbox, workers as processes; for the demonstration and for tests.

It may import the rest of the testkit, except the command line. Start with ``run.py`` (the demonstration from beginning to
end), then ``stack.py`` (the processes).
"""
