"""`groundswift parity`: the same images through several ways to run a model, and what differs."""
