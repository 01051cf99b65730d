"""What runs on the station: MicroPython subset, imports nothing outside this package."""
