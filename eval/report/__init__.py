"""The report: evaluated runs -> one HTML file. It computes no numbers."""

from .page import write_report

__all__ = ["write_report"]
