"""Datasets that `--dataset` can name."""
