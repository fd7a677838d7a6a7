"""Runs a conversion: batches, workers, Ray, and output that a stopped run can go on with."""
