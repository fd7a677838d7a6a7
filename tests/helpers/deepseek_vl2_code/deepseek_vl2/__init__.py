"""A stand-in for the repository that swift clones for DeepSeek-VL2: the names that swift's loader and template ask for."""
