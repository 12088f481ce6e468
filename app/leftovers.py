"""Threads and sockets that a process still has open."""

import threading

import psutil


def leftovers() -> list[str]:
    """Return a line for every thread but the calling one and every open socket."""
    threads = [
        f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
    ]
    sockets = [
        f"socket {connection.fd} {connection.type.name} {connection.laddr or 'unnamed'}"
        for connection in psutil.Process().net_connections(kind="all")
    ]
    return threads + sockets
