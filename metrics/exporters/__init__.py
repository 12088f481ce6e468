"""A registry to bytes: pure functions, a module a format.

Each format has `CONTENT_TYPE`, `render`, which returns everything, and `stream`, which yields the
same in chunks: `csv`, `expvar`, `graphite`, `influx`, `json`, `lines`, `openmetrics`, `opentsdb`,
`otlp`, `plain`, `prometheus`, `remote_write` and `statsd`. `negotiation` chooses between the two of
Prometheus. The other modules are what formats share: how a registry is read (`series`, `samples`),
what is remembered between two looks (`deltas`, `staleness`, `creations`), how names, labels and
numbers are written, and how text becomes chunks and datagrams.
"""
