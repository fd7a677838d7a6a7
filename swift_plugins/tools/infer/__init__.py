"""`groundswift infer`: answers that survive a kill, over swift's engines or a server."""
