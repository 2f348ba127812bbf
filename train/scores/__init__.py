"""Metrics, calibration, evaluation, and what others have published."""
