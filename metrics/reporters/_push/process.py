"""Identity of this process, by which destinations distinguish its series from other series."""

import os
import sys
from pathlib import Path
from socket import gethostname
from uuid import uuid4

from metrics import _fork

PYTHON = "python"

_uuids: dict[int, str] = {}


def program_name() -> str:
    """Return the name of the running program: `gunicorn`, `worker` for `worker.py`, or `python`.

    A package that runs with `python -m` has its own name. A program without a name (`python -c`,
    an interactive session, an embedded interpreter) is `python`.
    """
    arguments: list[str] = getattr(sys, "argv", [])
    program = arguments[0] if arguments else ""
    if not program or program.startswith("-"):
        return PYTHON
    path = Path(program)
    return (path.parent.name if path.stem == "__main__" else path.stem) or PYTHON


def process_name() -> str:
    """Return the host's name and the process id, `web-1:4711`; another one after a fork."""
    return f"{gethostname()}:{os.getpid()}"


def process_uuid() -> str:
    """Return the UUID of this process, a random one; another one after a fork."""
    return _uuids.setdefault(_fork.generation, str(uuid4()))
