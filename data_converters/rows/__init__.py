"""Tools over rows and over the scripts that train with them. Nothing here imports swift."""
