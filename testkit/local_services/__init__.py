"""Real Kafka on the local JVM, for those who run without containers and for the tests."""
