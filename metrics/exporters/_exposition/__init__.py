"""Metric families of Prometheus: the exposed names, their text and their samples."""
