"""Destinations: hooks that report a registry to servers and files, one module for each destination.

A container declares them, as in `Resource(influxdb.v2, registry, url=...)`. Destinations do not
import each other; they share two layers:

- `_push`: the push loop, its outbox and its retries, and the options of all hooks;
- `_transports`: delivery of one payload over HTTP, TCP, UDP or a Unix socket.
"""
