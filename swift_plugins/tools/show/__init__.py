"""`groundswift show`: one row as the model will see it, in text, as a picture and in the terminal."""
