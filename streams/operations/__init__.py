"""What was set aside, looked at and acted upon: records that could not be processed, deliveries that Dotdigital refused."""
