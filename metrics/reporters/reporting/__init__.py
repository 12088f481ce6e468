"""What the hooks of all destinations do, whatever is sent and to whom.

`options` are what a reporter can be told, `payloads` what it makes of what it reads, and `lifetime`
has it run while its container does; `posting` does that over HTTP.
"""
