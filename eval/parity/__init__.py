"""Parity: what differs between the answers of several ways to run one model, from their result files alone."""
