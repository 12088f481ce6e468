"""What a process leaves behind: to a forked process, and to the interpreter that exits.

A forked process begins anew: its parts are NEW, and start when they are next asked for. The hooks
of the parent are the parent's to run. Parts that are up when the interpreter exits end with it, and
`running` stops them before.
"""

import atexit
import os
import threading
from typing import Any

from dependency_injector import providers

from metrics.lifecycle import change, lifecycle
from metrics.lifecycle.immortal import keep


def begin_anew() -> None:
    """Let every container of a forked process be NEW."""
    # One lock for all such singletons, which another thread of the parent may hold for good.
    lock: Any = providers.ThreadSafeSingleton.storage_lock  # type: ignore[attr-defined]
    lock._at_fork_reinit()
    lifecycle.adopting = threading.Lock()
    change.begin_anew()
    failures: list[Exception] = []
    for inherited in lifecycle.lifecycles():
        try:
            owner = inherited.owner()
            if owner is not None:
                owner.begin_anew()
            for belonging in inherited.forked():
                keep(belonging)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others up
            failures.append(error)
    if failures:
        # The interpreter prints it: a fork cannot fail.
        raise ExceptionGroup("containers did not begin anew in a forked process", failures)


def leave_behind() -> None:
    """Keep what is up from being finalized by an interpreter that exits."""
    for left in lifecycle.lifecycles():
        for part in left.record:
            keep(part.leave)


atexit.register(leave_behind)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)
