"""OTLP metrics: OpenTelemetry's protocol, as binary protobuf.

The format: https://opentelemetry.io/docs/specs/otlp/, version 1. `messages` needs the
`opentelemetry-proto` package and is imported when something is rendered.
"""

from metrics.exporters._series.deltas import Deltas
from metrics.exporters.otlp._rendering import CONTENT_TYPE, MAX_POINTS, Attribute, render, stream

__all__ = ["CONTENT_TYPE", "MAX_POINTS", "Attribute", "Deltas", "render", "stream"]
