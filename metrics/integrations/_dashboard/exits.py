"""Servers that are about to exit, as far as a program can see it.

uvicorn waits for open responses before it lets the application stop, and so would wait for an
endless one. Its handler of signals is a method of the server, which has a flag for its exit.
"""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def is_server_exiting() -> bool:
    """Return whether the server that handles the signals of this process is about to exit."""
    servers = [getattr(signal.getsignal(number), "__self__", None) for number in SIGNALS]
    return any(getattr(server, "should_exit", False) is True for server in servers)
