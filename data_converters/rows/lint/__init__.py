"""`groundswift lint`: what is wrong with swift rows before a training run meets it, and what of it can be mended safely."""
