"""The protobuf messages of the wire and of config.pbtxt, and how they read as JSON.

Layer: just above `domain`, the only package that it may import. The messages live in a descriptor pool of their own, so
that a process may import this package together with other libraries that define package `inference`.
"""
