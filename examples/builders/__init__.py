"""One file per example model: how it is trained, written as ONNX and measured."""
