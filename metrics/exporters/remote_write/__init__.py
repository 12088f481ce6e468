"""Prometheus remote write, version 1.0.

The format: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from metrics.exporters._series.staleness import Staleness
from metrics.exporters.remote_write._metadata import Metadata
from metrics.exporters.remote_write._rendering import (
    CONTENT_TYPE,
    MAX_SAMPLES,
    render,
    stream,
    stream_end,
)

__all__ = [
    "CONTENT_TYPE",
    "MAX_SAMPLES",
    "Metadata",
    "Staleness",
    "render",
    "stream",
    "stream_end",
]
