"""Runs graphs: the only door to ONNX Runtime; imports telemetry and domain, never batching or registry."""
