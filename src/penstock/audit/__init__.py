"""The audit log: who changed what, when and why, in files in which no line can be changed or left out unseen.

May import: domain, telemetry.
"""
