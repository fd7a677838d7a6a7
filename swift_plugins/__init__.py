"""What ms-swift loads. `register.py` is the only file to give to `--custom_register_path`."""
