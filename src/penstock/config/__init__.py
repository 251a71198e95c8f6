"""The settings: which keys exist, which values they take, and where each value in force came from.

Sits above every package that it configures and hands each one only its own options; imports nothing of `server` or
`cli`. This is the only package that reads the environment.
"""
