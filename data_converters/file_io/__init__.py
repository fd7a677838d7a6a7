"""Files in and out: rows, JSON, labels, images, local or remote."""
