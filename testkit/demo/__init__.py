"""The whole product on one machine: broker, sandbox, workers as processes; for the demonstration and for tests."""
