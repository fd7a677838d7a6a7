"""The report: evaluated runs -> one HTML file that one looks at. It lays out numbers and computes none."""

from .page import write_report

__all__ = ["write_report"]
