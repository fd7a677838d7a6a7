"""Patches of other libraries, one file for each fault."""
