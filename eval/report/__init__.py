"""The report: evaluated runs -> one HTML file. It computes no numbers."""
