"""Objects that outlive the process, so that nothing in them is finalized."""


def keep(inherited: object) -> None:
    """Keep an object until the process has ended.

    A suspended generator that is collected runs its `finally`, even when the interpreter exits: in
    a forked process, that is the parent's clean-up, and at the exit, one that waits for threads
    which are gone. Only what is still referenced then is left alone.
    """
    # Loaded where it is needed: by few programs, and late.
    import ctypes  # noqa: PLC0415

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
