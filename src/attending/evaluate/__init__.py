"""Held-out predictions to metrics with intervals: bootstrap, comparison, curves. No torch."""
