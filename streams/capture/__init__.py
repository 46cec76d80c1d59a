"""What Debezium wrote, read into typed rows: pure functions from bytes to values, no Kafka."""
