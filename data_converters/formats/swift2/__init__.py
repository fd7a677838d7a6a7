"""Rows of ms-swift 2.x."""
