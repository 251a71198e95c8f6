"""The record of what models were asked and what they answered: sampled, redacted, written beside the server's work.

Beside `security`; may import traffic, wire and domain. `recorder.py` is the way in, `reading.py` the way back; the only door to DuckDB.
"""
