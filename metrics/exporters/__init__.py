"""Formats: pure functions from a registry to bytes, one module or package for each format.

A format has `CONTENT_TYPE`, `render`, which returns all of it, and `stream`, which yields the same
bytes in chunks. Formats do not import each other; they share three layers, highest first:

- `_exposition`: metric families as Prometheus reads them, on a page or as samples;
- `_series`: the registry as a flat stream of series, and the state between two reads of it;
- `_encoding`: names, numbers, units and times as text, and text as chunks and datagrams.
"""
