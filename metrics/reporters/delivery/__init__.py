"""The push loop, the same for every transport.

A `reporter` collects payloads once an interval; its `sender` delivers them in order, keeps them in
an `outbox` while the server is away, leaves it alone for a while (`backoff`), and tells in
`statistics` what became of them.
"""
