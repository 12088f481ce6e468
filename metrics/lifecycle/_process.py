"""Ends of processes: forks, and the exit of the interpreter.

In a forked process a container is NEW. Resources whose hooks survive a fork go on; all others start
when they are requested or with `init_resources()`. The hooks of the parent run in the parent alone.
Resources that run when the interpreter exits end with it; `running` stops them before.
"""

import atexit
import os
from typing import Any, final

from dependency_injector import providers

from metrics._fork import drop_registered_by, survival_of
from metrics.lifecycle import _lifecycle, _signals, _transition
from metrics.lifecycle._lifecycle import Lifecycle
from metrics.lifecycle._record import ResourceRecord, add_note, name_and_hook
from metrics.lifecycle._transition import State


def reset_after_fork() -> None:
    """Reset every container in a forked process."""
    # One lock for all such singletons, which another thread of the parent may hold for good.
    lock: Any = providers.ThreadSafeSingleton.storage_lock  # type: ignore[attr-defined]
    lock._at_fork_reinit()
    _lifecycle.renew_locks()
    _transition.renew_locks()
    _signals.after_fork()
    fork = Fork(_lifecycle.lifecycles())
    fork.reset_values()
    fork.reset_containers()
    if fork.failures:
        # The interpreter prints it: a fork cannot fail.
        raise BaseExceptionGroup("containers were not reset in a forked process", fork.failures)


BUSY = (State.STARTING, State.STOPPING)


@final
class Fork:
    """Reset of all containers in a forked process: which resources survive, and which are lost.

    A resource survives if its hook does, unless it may hold the value of a lost resource that has
    to be stopped: its health check would use the connection of the parent process.

    Args:
        inherited: the lifecycles of the parent process.
    """

    def __init__(self, inherited: list[Lifecycle]) -> None:
        self._lifecycles = inherited
        self.failures: list[BaseException] = []
        records = [record for lifecycle in inherited for record in lifecycle.own]
        self._survivors = {
            record: survival
            for record in sorted(records, key=lambda record: record.sequence)
            if record.running and (survival := survival_of(record.hook)) is not None
        }
        self._lost = {
            record
            for record in records
            if record not in self._survivors
            and (record.finalizer is not None or record.state in BUSY)
        }
        self._lose_dependents({record for record in self._lost if is_entered(record)})

    def _lose_dependents(self, lost: set[ResourceRecord]) -> None:
        """Take the resources that may hold values of lost ones from the survivors."""
        if not lost or not self._survivors:
            return
        for lifecycle in self._lifecycles:
            owner = lifecycle.owner()
            try:
                dependents = owner.made_of(lost) if owner is not None else []
            except Exception as error:  # noqa: BLE001 - a fork cannot fail
                self.failures.append(error)
                continue
            self._lost.update(r for r in dependents if self._survivors.pop(r, None) is not None)

    def reset_values(self) -> None:
        """Reset the values of the survivors, in the order of their start, as their hooks declare.

        One that cannot be reset is lost.
        """
        for record, survival in list(self._survivors.items()):
            if survival.reset is None or record not in self._survivors:
                continue
            try:
                survival.reset(record.value)
            except BaseException as error:  # noqa: BLE001 - a fork cannot fail
                add_note(error, f"while resetting {name_and_hook(record)} in a forked process")
                self.failures.append(error)
                del self._survivors[record]
                self._lost.add(record)
                self._lose_dependents({record})

    def reset_containers(self) -> None:
        """Reset everything else; one container that fails must not spoil the others."""
        for lifecycle in self._lifecycles:
            try:
                for inherited in lifecycle.forked(self._survivors, self._lost):
                    keep(inherited)
            except Exception as error:  # noqa: BLE001 - a fork cannot fail
                self.failures.append(error)
        drop_registered_by(self._lost)


def is_entered(record: ResourceRecord) -> bool:
    """Return whether a resource is more than a plain value: its hook has to be exited."""
    return record.finalizer is not None and record.finalizer.entered


def keep(inherited: object) -> None:
    """Keep an object until the process ends, without finalizing it.

    A suspended generator that is collected runs its `finally`, even when the interpreter exits: in
    a forked process that is cleanup of the parent, and at the exit it may wait for threads that are
    gone. An object that is still referenced then is left alone.
    """
    # Imported late: few programs need it; `prepare_fork` has, before a fork.
    import ctypes  # noqa: PLC0415

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def leave_running() -> None:
    """Keep running resources from being finalized by an interpreter that exits."""
    for left in _lifecycle.lifecycles():
        for record in list(left.started):
            keep(record.finalizer)


def prepare_fork() -> None:
    """Import in the parent process the modules that the child needs: an import there may hang.

    The lock of a module that another thread imports stays locked in the child.
    """
    if any(lifecycle.started for lifecycle in _lifecycle.lifecycles()):
        import ctypes  # noqa: F401, PLC0415 - few programs need it


atexit.register(leave_running)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=prepare_fork, after_in_child=reset_after_fork)
