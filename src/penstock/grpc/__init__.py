"""The gRPC listener, beside `http`; may import inference and what is below it. The only door to grpcio.

Only `server.py` knows grpcio's server. The services are tables from method names to handlers of bytes (`call.py`), so
that another transport can carry them.
"""
