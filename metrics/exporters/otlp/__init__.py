"""OTLP metrics: OpenTelemetry's protocol, as binary protobuf.

The format: https://opentelemetry.io/docs/specs/otlp/, version 1. `messages` needs the
`opentelemetry-proto` package and is imported when something is rendered.
"""

from metrics.exporters.otlp.rendering import CONTENT_TYPE, MAX_POINTS, Attribute, render, stream
from metrics.exporters.reading.deltas import Deltas

__all__ = ["CONTENT_TYPE", "MAX_POINTS", "Attribute", "Deltas", "render", "stream"]
