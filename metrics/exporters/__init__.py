"""Snapshots to bytes: pure functions, a module a format, with `CONTENT_TYPE` and `render`."""
