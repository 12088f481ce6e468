"""Worker processes of a test: forked, driven by lines of Python, ended or killed."""

import os
import pickle
import select
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from metrics import Registry
from metrics.exporters import prometheus
from metrics.integrations import processes
from tests.processes import until

DEADLINE = 30.0

PIECE = 1 << 16


class Worker:
    """A forked process that evaluates expressions; `registry` and `page` are among its names.

    Args:
        enter: returns the names of the process; called in it.
    """

    def __init__(self, enter: Callable[[], Any]) -> None:
        (asked, self._asking), (self._answered, answering) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._asking)
            os.close(self._answered)
            serve(asked, answering, enter)
        os.close(asked)
        os.close(answering)
        self.run("None")

    def send(self, line: str) -> None:
        """Have an expression evaluated without waiting for its value."""
        data = line.encode()
        os.write(self._asking, len(data).to_bytes(4, "big") + data)

    def answer(self) -> Any:
        """Return the value of the expression sent last."""
        size = int.from_bytes(self._read(4), "big")
        succeeded, value = pickle.loads(self._read(size))
        assert succeeded, value
        return value

    def run(self, line: str) -> Any:
        """Return the value of an expression."""
        self.send(line)
        return self.answer()

    def kill(self) -> None:
        """End the process by SIGKILL, as the system does when memory is short."""
        os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def end(self) -> None:
        """End the process in order: its block is left."""
        # Other workers have copies of the pipe, which closing it would leave open.
        os.write(self._asking, bytes(4))
        self._reap()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            if not select.select([self._answered], [], [], DEADLINE)[0]:
                pytest.fail(f"worker {self.pid} is silent")
            piece = os.read(self._answered, min(PIECE, size - len(data)))
            assert piece, "the worker has ended"
            data += piece
        return data

    def _reap(self) -> None:
        if self.pid:
            try:
                until(lambda: os.waitpid(self.pid, os.WNOHANG)[0], "the worker ends")
            except BaseException:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise
            finally:
                self.pid = 0
            os.close(self._answered)
        if self._asking >= 0:
            os.close(self._asking)
            self._asking = -1

    def close(self) -> None:
        """Kill the process if it is still there."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._reap()


def serve(asked: int, answering: int, enter: Callable[[], Any]) -> None:
    """Evaluate expressions until the pipe is closed, and end the process."""
    code = 1
    try:
        with enter() as names:
            while size := int.from_bytes(os.read(asked, 4), "big"):
                line = os.read(asked, size).decode()
                try:
                    answer = (True, eval(line, names))
                    pickled = pickle.dumps(answer)
                except Exception:  # noqa: BLE001 - raised in the parent
                    pickled = pickle.dumps((False, traceback.format_exc()))
                os.write(answering, len(pickled).to_bytes(4, "big") + pickled)
        code = 0
    except BaseException:  # noqa: BLE001 - the parent sees the end
        traceback.print_exc()
    finally:
        os._exit(code)


class Workers:
    """Workers of one test that share their registries in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._all: list[Worker] = []

    def start(
        self, build: Callable[[Registry], Any] = lambda registry: None, **options: Any
    ) -> Worker:
        """Start a worker; `build` registers instruments, `made` is its result."""

        @contextmanager
        def enter() -> Iterator[dict[str, Any]]:
            registry = Registry()
            made = build(registry)
            with processes.share(registry, directory=self.directory, **options) as member:
                yield names_of(registry, made, member)

        return self.enter(enter)

    def enter(self, enter: Callable[[], Any]) -> Worker:
        """Start a worker with a context of its own."""
        worker = Worker(enter)
        self._all.append(worker)
        return worker

    def close(self) -> None:
        """Kill all workers that are left."""
        for worker in self._all:
            worker.close()


def names_of(registry: Registry, made: Any, member: Any) -> dict[str, Any]:
    """Return the names that expressions in a worker may use."""
    return {
        "registry": registry,
        "made": made,
        "member": member,
        "os": os,
        "page": lambda: prometheus.render(registry).decode(),
        "values": lambda: values_of(registry),
    }


def values_of(registry: Registry) -> dict[str, float]:
    """Return the samples of a page, by name with labels."""
    lines = prometheus.render(registry).decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


@pytest.fixture
def workers() -> Iterator[Workers]:
    # The path of a socket is short, unlike that of `tmp_path`.
    directory = Path(tempfile.mkdtemp(prefix="m-"))
    directory.rmdir()
    found = Workers(directory)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(directory, ignore_errors=True)
