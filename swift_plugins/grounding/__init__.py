"""What `register.py` registers: datasets, templates, metrics, rewards, run checks, and patches of swift that they need."""
