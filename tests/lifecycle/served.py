"""Servers that fork workers, each in a directory and a process group of its own, and bounded."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.lifecycle.programs import LIGHT
from tests.processes import until

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0

NOTES = (
    LIGHT
    + """
import json, os, pathlib

def note(**values):
    with (pathlib.Path(__file__).parent / "notes").open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), **values}) + "\\n")
"""
)
"""The start of a program: `note` appends a line to a file that all its processes share."""


class Master:
    """A running server.

    Args:
        process: its first process.
        folder: the directory that it runs in, with its notes and its log.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.pid = process.pid

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self._folder / "log").read_text()

    def notes(self, name: str = "") -> list[dict]:
        """Return the notes of all processes; with a name, only those that have a value for it."""
        path = self._folder / "notes"
        text = path.read_text() if path.exists() else ""
        # A line without an end is still being written.
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [found for found in map(json.loads, lines) if not name or name in found]

    def wait_for(self, name: str, number: int) -> list[dict]:
        """Wait for a number of notes, as `notes` returns them."""

        def enough() -> list[dict]:
            assert self._process.poll() is None, self.log
            found = self.notes(name)
            return found if len(found) >= number else []

        return until(enough, f"{number} notes of {name!r}", DEADLINE)

    def end(self) -> int:
        """Send SIGTERM; return the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DEADLINE)


@contextmanager
def master(folder: Path, *arguments: str) -> Iterator[Master]:
    """Run `python -m` with arguments in a directory, in a process group of its own.

    At the end of the block, every process of the group is killed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Master(process, folder)
    except BaseException as error:
        error.add_note((folder / "log").read_text())
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
