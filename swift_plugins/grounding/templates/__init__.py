"""Templates that write boxes in a family's own text."""
