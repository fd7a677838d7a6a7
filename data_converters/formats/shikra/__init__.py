"""Rows of Shikra, both ways."""
