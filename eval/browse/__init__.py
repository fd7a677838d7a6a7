"""Evaluated runs in a web browser, from a server on this machine. It computes no numbers."""
