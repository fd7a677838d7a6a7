"""Model types that swift lacks."""
