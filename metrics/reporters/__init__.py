"""A registry to servers: a module a destination, with the hooks that a container declares.

For example `Resource(influxdb.v2, registry, url=..., ...)`. Destinations are `file`, `graphite`,
`influxdb`, `log`, `opentsdb`, `otlp`, `pushgateway`, `remote_write`, `statsd` and `syslog`. What
they share stands in layers below them:

- `reporting`: what all hooks do, from their options to the last report;
- `delivery`: the push loop, and what it does with a server that is away;
- `transports`: how a payload gets to a server, over HTTP, TCP, UDP or a socket of the machine.
"""
