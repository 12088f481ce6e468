"""What a forked process inherits from a running container: nothing that runs, and nothing to stop.

The child begins anew: its parts are NEW, and start when they are next asked for. The hooks of the
parent are the parent's to run.
"""

import os
import threading

from metrics.lifecycle import lifecycle


def begin_anew() -> None:
    """Let every container of a forked process be NEW."""
    lifecycle.adopting = threading.Lock()
    for inherited in list(lifecycle.living):
        for hook in inherited.forked():
            keep(hook)


def keep(hook: object) -> None:
    """Keep an object until the process has ended.

    A suspended generator that is collected runs its `finally`, even when the interpreter exits: the
    parent's clean-up in the child. Only what is still referenced then is left alone.
    """
    # Loaded in the child that needs it: few programs fork.
    import ctypes  # noqa: PLC0415

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(hook))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)
