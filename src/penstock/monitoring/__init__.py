"""Whether inputs and answers still look as they did, and how right the answers were: figures, and what gathers the rows for them.

Without a loop and without I/O. May import payloads, traffic, wire and domain.
"""
