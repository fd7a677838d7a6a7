"""Source formats, one name each; where both directions exist, both are here."""
