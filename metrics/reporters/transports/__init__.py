"""How payloads get to a server. What every transport does is told by `transport`.

Transports are `http`, `tcp`, `udp` and `unix`. Connections are made through a `wire`, which another
thread can cut, and `resolution` asks for the addresses. `endpoint` and `credentials` check where
payloads go and what opens the door there; `redaction` keeps secrets out of what is shown.
"""
