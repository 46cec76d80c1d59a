"""What Debezium writes, read or refused."""
