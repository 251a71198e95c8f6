"""The doors that are fuzzed, one file each: see `target.py`."""
