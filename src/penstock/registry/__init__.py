"""Where models come from: directories of versions, their files and what those say of themselves.

Layer: beside `batching` and `execution`, which it may not import; it may import `telemetry`, `wire` and `domain`.
"""
