"""Push loops: an exporter's bytes to a server, with retries, once an interval."""
