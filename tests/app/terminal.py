"""A program in a pseudo-terminal, of which tests see the screen and press the keys."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from time import monotonic

import pyte

from tests.app.agents import PATIENCE, PROGRAM, ROOT

LEFT = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"


class Terminal:
    """A running `python -m app`, whose screen is 80 by 24 characters unless said otherwise."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24) -> None:
        self._master, self._slave = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)
        self.settings = termios.tcgetattr(self._slave)
        self.output = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.process = subprocess.Popen(
            [sys.executable, *PROGRAM, *arguments],
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "", "PYTHONUTF8": "1"},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, shows: Callable[[], object] | str) -> None:
        """Wait until the screen has a text, or a condition holds."""
        ends = monotonic() + PATIENCE
        while not (shows in self.text if isinstance(shows, str) else shows()):
            assert monotonic() < ends, f"not in time: {shows!r}\n{self.text}"
            assert self.process.poll() is None, f"ended: {shows!r}\n{self.text}"
            self._read(0.05)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        found = os.read(self._master, 65_536)
        self.output += found
        self._stream.feed(found)
        return True

    def wait(self) -> int:
        """Return the exit code, after all output is read."""
        ends = monotonic() + PATIENCE
        while self.process.poll() is None:
            assert monotonic() < ends, f"still there\n{self.text}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was before the program."""
        return (
            termios.tcgetattr(self._slave) == self.settings
            and self.output.rindex(LEFT) > self.output.rindex(b"\x1b[?1049h")
            and self.output.rindex(CURSOR_SHOWN) > self.output.rindex(b"\x1b[?25l")
            and self.output.rindex(b"\x1b[?1003l") > self.output.rindex(b"\x1b[?1003h")
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._master)
        os.close(self._slave)
