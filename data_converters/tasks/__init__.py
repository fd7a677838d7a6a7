"""What a sample becomes: detection, referring, conversation."""
