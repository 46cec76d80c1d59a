"""What the operator sees: metrics, health, logs."""
