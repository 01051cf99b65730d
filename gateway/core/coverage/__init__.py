"""Coverage evidence: which beacons were due, who heard them, and what that proves of a place."""
