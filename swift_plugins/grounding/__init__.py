"""The classes that `register.py` names: data sets, templates, a metric, and mends of swift that all of them need."""
