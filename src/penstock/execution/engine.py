"""ONNX Runtime, imported with its telemetry off: the one place that imports it.

Its wheels since 1.32 make up a device id and store it in the home directory as soon as they are imported; switching events off
afterwards comes too late for that.
"""

import os

from penstock.domain.start import StartError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - an order to the library, not a setting of ours

try:
    import onnxruntime as ort
except ModuleNotFoundError as error:
    raise StartError("this needs ONNX Runtime: pip install 'penstock[cpu]', or 'penstock[gpu]' for NVIDIA's GPUs") from error

ort.disable_telemetry_events()
# Its builds for GPUs warn at each session that no plug-in provides what they hold themselves.
ort.set_default_logger_severity(3)

__all__ = ["ort"]
