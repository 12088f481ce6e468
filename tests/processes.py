"""Real servers for tests, as the system's packages have them."""

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Self, TypeVar
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

LOOPBACK = "127.0.0.1"
DEADLINE = 20.0
LOOK_SECONDS = 0.02

# Below those that the system gives to clients, so that nobody gets it meanwhile by chance; and each
# process of a test run has its own, for the time between the choice and the server.
WORKERS = 16
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
PORTS = range(20_000 + WORKER, 32_000, WORKERS)

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

T = TypeVar("T")

_given: set[int] = set()


def installed(program: str) -> str:
    """Return where a program is; skip the test when it is not installed, but fail it in CI."""
    found = shutil.which(program, path=PATH)
    if found is None:
        reason = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port of the loopback that nobody has; another one each time."""
    # Tests that are seeded take the same numbers in each run, and two runs the same ports.
    numbers = random.SystemRandom()
    while True:
        port = numbers.choice(PORTS)
        if port in _given:
            continue
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind((LOOPBACK, port))
            except OSError:
                continue
            _given.add(port)
            return port


def until(found: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Return the first answer that is true; fail when there is none in time.

    An AssertionError of the function counts as "not yet", and is what is shown in the end.
    """
    ends = monotonic() + seconds
    while True:
        last: AssertionError | None = None
        try:
            if answer := found():
                return answer
        except AssertionError as error:
            last = error
        if monotonic() > ends:
            raise last or AssertionError(f"{what}: not within {seconds} s")
        sleep(LOOK_SECONDS)


def fetch(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return what a server answers to a GET, or to a POST of `data`; raise OSError for a refusal.

    Proxies that the environment names are not asked.
    """
    request = Request(url, data, dict(headers or {}))
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=DEADLINE) as answer:
            body: bytes = answer.read()
            return body
    except HTTPError as error:
        with error:
            raise OSError(f"{url} answered {error.code} {error.read()!r}") from None


def accepts(port: int) -> bool:
    """Return whether somebody listens on a port of the loopback."""
    with socket.socket() as sock:
        return sock.connect_ex((LOOPBACK, port)) == 0


def answers(url: str) -> bool:
    """Return whether a server answers a GET with success."""
    try:
        fetch(url)
    except OSError:
        return False
    return True


class Server:
    """A program that runs from `start` to `stop`, or while a `with` block does.

    Args:
        command: the program, found by `installed`, and its arguments; it must not go into the
            background.
        ready: whether it serves: `partial(accepts, port)`, `partial(answers, url)`.
        log: the file to write to what the program says.
    """

    def __init__(self, command: Sequence[str], ready: Callable[[], bool], log: Path) -> None:
        self._command = [installed(command[0]), *command[1:]]
        self._ready = ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program and wait until it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until(self._serves, f"{self._command[0]} serves")
        except BaseException as error:
            self.kill()
            error.add_note(self.tail())
            raise

    def stop(self) -> int | None:
        """Ask the program to end, and kill it when it takes too long; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """End the program at once, with no chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self, size: int = 2000) -> str:
        """Return the end of what the program said."""
        return self._log.read_bytes()[-size:].decode(errors="replace")

    def _serves(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise RuntimeError(f"{self._command[0]} ended with {code}")
        return self._ready()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
