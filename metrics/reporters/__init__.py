"""A registry to servers: a hook for each destination, over one push loop and a few transports.

A container declares what it needs: `Resource(influxdb.v2, registry, url=..., ...)`. Destinations
are `file`, `graphite`, `influxdb`, `log`, `opentsdb`, `otlp`, `pushgateway`, `remote_write`,
`statsd` and `syslog`; transports are `http`, `tcp`, `udp` and `unix`. `reporter` is the loop,
`sender` what it sends with, and `reporting` what all hooks have in common.
"""
