"""Whether inputs and answers still look as they did, and how right the answers were: figures over arrays, and the feedback that they need.

May import payloads, for the record of feedback, and what is below it. `feedback.py` is the way in; figures are pure.
"""
