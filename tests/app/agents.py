"""The agent as a process, which tests start, read and stop."""

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

PROGRAM = (
    "-c",
    """
import runpy, sys
sys.modules.update(dict.fromkeys(["fast_depends", "fastapi", "werkzeug"]))
runpy.run_module("app", run_name="__main__", alter_sys=True)
""",
)
"""`python -m app` without the web frameworks that are installed for other tests.

dependency-injector imports them, which takes as long as the rest of a start.
"""


class Agent:
    """A running `python -m app`, or another program, whose stderr is read as it comes."""

    def __init__(
        self,
        *arguments: str,
        program: Sequence[str] = PROGRAM,
        inherited: Sequence[int] = (),
        **variables: str,
    ) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WIRED_METRICS_")}
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=ROOT,
            env=clean | variables,
            pass_fds=inherited,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._arriving: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._arriving.put(line.rstrip("\n"))
        self._arriving.put(None)

    def await_line(self, pattern: str) -> re.Match[str]:
        while (line := self._arriving.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line matched {pattern!r}: {self.lines}")

    def url(self) -> str:
        return self.await_line(r"serving (http://\S+?)/?$")[1]

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        while (line := self._arriving.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.process.stderr.close()
        self.process.stdout.close()
