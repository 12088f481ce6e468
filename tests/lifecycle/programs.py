"""Python programs in processes of their own, which end even when the library hangs."""

import os
import selectors
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

ROOT = Path(__file__).parents[2]

DEADLINE = 30
"""Seconds until a program is killed; no program needs more than a few of them."""

LIGHT = """
import sys
sys.modules.update(dict.fromkeys(["fast_depends", "fastapi", "pydantic_settings", "werkzeug"]))
"""
"""The head of a program that needs no web framework.

dependency-injector imports the frameworks that are installed, which takes longer than the program.
"""

# The stack first, for the report of the failure; then the kernel, whatever the program does.
GUARD = f"""{LIGHT}
import faulthandler, signal
faulthandler.dump_traceback_later({DEADLINE - 10})
signal.alarm({DEADLINE})
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@dataclass(frozen=True)
class Ended:
    """The exit code of a program, the lines that it printed, and the text of its stderr."""

    code: int
    lines: list[str]
    errors: str


class Program:
    """A running program, for a `with` block; its end kills the program.

    Args:
        source: its code, which is dedented.
        arguments: `sys.argv[1:]`.
        interpreter: options of the interpreter.
    """

    def __init__(
        self, source: str, *arguments: object, interpreter: tuple[str, ...] = ("-W", "error")
    ) -> None:
        code = GUARD + textwrap.dedent(source)
        self._lines: list[str] = []
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, *interpreter, "-c", code, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def until(self, line: str) -> None:
        """Wait until the program has printed a line, with flush=True."""
        ends = monotonic() + DEADLINE
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while line not in self._lines:
                if not selector.select(max(ends - monotonic(), 0.0)):
                    self._process.kill()
                read = os.read(self._process.stdout.fileno(), 4096)
                if not read:
                    raise AssertionError(f"{line!r} was never printed: {self.end()}")
                self._take(read)

    def send(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def end(self) -> Ended:
        """Wait for the end of the program."""
        try:
            printed, errors = self._process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            printed, errors = self._process.communicate()
        self._take(printed)
        self._lines += [self._rest.decode()] if self._rest else []
        self._rest = b""
        return Ended(self._process.returncode, self._lines, errors.decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _take(self, read: bytes) -> None:
        *lines, self._rest = (self._rest + read).split(b"\n")
        self._lines += [line.decode() for line in lines]


def ran(source: str, *arguments: object, interpreter: tuple[str, ...] = ("-W", "error")) -> Ended:
    """Run a program to its end."""
    with Program(source, *arguments, interpreter=interpreter) as program:
        return program.end()


def call(function: str, *arguments: object) -> str:
    """Call `module:name` of this package with strings in a process of its own; return its output.

    Raises:
        AssertionError: it raised an exception, forgot a coroutine, or did not end.
    """
    module, name = function.split(":")
    source = f"""
        import sys
        from tests.lifecycle.{module} import {name}
        {name}(*sys.argv[1:])
    """
    ended = ran(source, *arguments)
    assert ended.code == 0, f"{ended.code} {ended.lines}\n{ended.errors}"
    assert "never awaited" not in ended.errors, ended.errors
    return "\n".join(ended.lines)
