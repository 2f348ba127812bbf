"""Training runs → ONNX models for the live program. Start with `python -m export --help`."""
