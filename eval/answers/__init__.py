"""Answers to boxes: result files, labels, confidence, placement."""
