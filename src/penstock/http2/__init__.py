"""HTTP/2 of a server without sockets and without a clock (RFC 9113): bytes in, events and bytes out; may import nothing of Penstock.

Read `connection.py` first. The only door to hpack.
"""
