"""Penstock serves versioned ONNX models over HTTP and gRPC."""

__version__ = "0.1.0"
