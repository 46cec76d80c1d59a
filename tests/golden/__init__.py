"""Records made by Debezium's own SQL Server classes, and what our decoder makes of them."""
