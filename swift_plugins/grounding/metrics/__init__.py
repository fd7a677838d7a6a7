"""Metrics that `--eval_metric` can name, and what they need from swift."""
