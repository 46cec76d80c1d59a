"""What the product knows about orders, buyers and contacts: pure functions over typed rows; no Kafka, no clock, no I/O."""
