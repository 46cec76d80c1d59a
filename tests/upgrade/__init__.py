"""State and topics as released versions wrote them."""
