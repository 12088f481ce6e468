"""A registry to bytes: pure functions, a module or a package a format.

Each format has `CONTENT_TYPE`, `render`, which returns everything, and `stream`, which yields the
same in chunks: `csv`, `expvar`, `graphite`, `influx`, `json`, `lines`, `openmetrics`, `opentsdb`,
`otlp`, `plain`, `prometheus`, `remote_write` and `statsd`. `negotiation` chooses between the two of
Prometheus. Formats know nothing of each other; what they share stands in layers below them:

- `exposition`: what Prometheus reads, on a page or as samples;
- `reading`: what a registry holds, and what is remembered of it between two looks;
- `writing`: how names, numbers and times become text, and text becomes chunks and datagrams.
"""
