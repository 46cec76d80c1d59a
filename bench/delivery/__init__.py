"""What delivery costs in calls: recorded traces played in virtual time against the sandbox, beside an offline optimum."""
