"""Pure rules of the network: no I/O, clock, randomness or logging; callers pass all three."""
