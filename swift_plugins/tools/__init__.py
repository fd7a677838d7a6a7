"""Commands that need swift. swift itself does not load them."""
