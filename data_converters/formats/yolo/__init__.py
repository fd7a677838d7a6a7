"""YOLO datasets, both ways."""
