"""`groundswift lint`: what is wrong with swift rows, found before training, and fixed where that is safe."""
