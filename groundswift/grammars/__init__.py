"""Grammars of box text: formatting and parsing side by side, one file each."""
