"""No spans of requests: nothing collects them, and to ask that of every request is work."""

from fastapi.telemetry import TelemetryConfig

UNTRACED = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False)
"""For ``FastAPI(telemetry=…)``."""
