"""OTLP metrics: OpenTelemetry's protocol, as binary protobuf.

The format: https://opentelemetry.io/docs/specs/otlp/, version 1. Rendering needs the
`opentelemetry-proto` package, which is imported at the first use.
"""

from metrics.exporters._series.deltas import Deltas
from metrics.exporters.otlp._conventions import Attribute
from metrics.exporters.otlp._rendering import (
    CONTENT_TYPE,
    DISTRIBUTIONS,
    MAX_POINTS,
    render,
    stream,
)
from metrics.exporters.otlp._starts import Starts

__all__ = [
    "CONTENT_TYPE",
    "DISTRIBUTIONS",
    "MAX_POINTS",
    "Attribute",
    "Deltas",
    "Starts",
    "render",
    "stream",
]
