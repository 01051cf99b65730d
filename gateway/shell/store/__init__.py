"""Stores: where the messages, the two logs and the closed epochs are kept."""
