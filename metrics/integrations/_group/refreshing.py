"""Requests between members: publish your values now.

Each member listens on a socket of its own in the directory of the group. A request is a connection,
and the answer its end: a member that is killed while it works answers as well, by the kernel.
"""

import os
import select
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import final

from metrics.deadline import join
from metrics.errors import StopTimeoutError

logger = getLogger("metrics.integrations")

THREAD_NAME = "metrics-processes"

BACKLOG = 128

REFRESH_SECONDS = 0.25
"""Longest wait for the other members; the last values of a silent one are used."""

STOP_SECONDS = 5.0


@final
class RefreshListener:
    """Daemon thread that publishes the values of this process when another one requests it.

    Concurrent requests share one publication.

    Args:
        path: the path of the socket.
        publish: publishes the values; must not raise.

    Raises:
        OSError: the socket cannot be bound.
        RuntimeError: no thread can be started.
    """

    def __init__(self, path: Path, publish: Callable[[], object]) -> None:
        self._publish = publish
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._waking, self._woken = socket.socketpair()
        try:
            self._listener.setblocking(False)
            self._listener.bind(str(path))
            self._listener.listen(BACKLOG)
            self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            self._thread.start()
        except BaseException:
            self._close()
            raise

    def stop(self, seconds: float | None) -> None:
        """End the thread, and close the sockets.

        Raises:
            StopTimeoutError: the thread has not ended in time, because reading an instrument takes
                longer.
        """
        with suppress(OSError):
            self._waking.send(b".")
        limit = STOP_SECONDS if seconds is None else seconds
        if threading.current_thread() is not self._thread and not join(self._thread, limit):
            raise StopTimeoutError(
                f"{THREAD_NAME} has not ended after {limit:.3g} s, because it still reads the "
                "instruments; it ends when that returns"
            )

    def abandon(self) -> None:
        """Close the descriptors in a forked process, which lacks the thread."""
        for sock in (self._listener, self._waking, self._woken):
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)

    def _run(self) -> None:
        try:
            poll = select.poll()
            poll.register(self._listener, select.POLLIN)
            poll.register(self._woken, select.POLLIN)
            woken = self._woken.fileno()
            while woken not in {descriptor for descriptor, _ in poll.poll()}:
                self._answer()
        except OSError:
            logger.exception("%s ends: other processes use the last values", THREAD_NAME)
        finally:
            self._close()

    def _answer(self) -> None:
        """Publish for all requests that are waiting, and end their connections."""
        requests: list[socket.socket] = []
        try:
            with suppress(BlockingIOError, ConnectionAbortedError):
                while True:
                    requests.append(self._listener.accept()[0])
            if requests:
                self._publish()
        finally:
            for request in requests:
                # A process that was forked meanwhile has a copy, which closing would leave open.
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)
                request.close()

    def _close(self) -> None:
        for sock in (self._listener, self._waking, self._woken):
            sock.close()


def request_refresh(paths: Iterable[Path]) -> None:
    """Have other members publish their values; return when all have, or after some time.

    Args:
        paths: the sockets of the members.
    """
    ends = monotonic() + REFRESH_SECONDS
    waiting: dict[int, socket.socket] = {}
    poll = select.poll()
    try:
        for path in paths:
            request = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            waiting[request.fileno()] = request
            request.setblocking(False)
            try:
                request.connect(str(path))
            except OSError:
                # It has ended, or so many requests are waiting that it is silent.
                del waiting[request.fileno()]
                request.close()
            else:
                poll.register(request, select.POLLIN)
        while waiting and (left := ends - monotonic()) > 0.0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                waiting.pop(descriptor).close()
    finally:
        for request in waiting.values():
            request.close()
