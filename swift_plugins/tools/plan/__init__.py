"""`groundswift plan`: steps, image tokens and memory of a training before it is started."""
