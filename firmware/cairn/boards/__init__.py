"""Boards: base.py is the contract, the others fulfil it."""
