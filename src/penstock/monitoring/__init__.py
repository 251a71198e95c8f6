"""Whether inputs and answers still look as they did, and how right the answers were: figures, and what gathers the rows for them.

Without a loop and without I/O, but for `feedback.py`, the way in of the truth. May import payloads, traffic, wire and domain.
"""
