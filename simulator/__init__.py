"""A world for real firmware nodes: virtual clock, weather, faulty network."""
