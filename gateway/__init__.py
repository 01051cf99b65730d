"""The gateway: verifies what stations sign, keeps it, and pays their owners."""
