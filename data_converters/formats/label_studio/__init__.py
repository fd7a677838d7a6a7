"""Label Studio: reading and writing."""
