"""Other networks' published rules, written again from their facts, to measure ours against."""
