"""`groundswift show`: one row as the model gets it: encoded text, image with boxes, terminal output."""
