"""Samples of prometheus_client as snapshots."""
