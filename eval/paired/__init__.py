"""Paired tests of two runs on the same images."""
