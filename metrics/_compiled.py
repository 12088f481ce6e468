"""Whether the hot core runs compiled, and whether it still is what its source says."""

import os
import sys
from types import ModuleType

SUFFIX = ".py"


def require_gil() -> None:
    """Refuse an interpreter that runs without its global lock, which updates rely on.

    Raises:
        ImportError: This is a free-threaded interpreter, and its lock is off.
    """
    # Only interpreters that can be free-threaded have the question.
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ImportError(
            "metrics would lose updates in a free-threaded interpreter, because its instruments "
            "take no lock of their own: set PYTHON_GIL=1 or run python -X gil=1"
        )


# Whoever imports the library comes by here first.
require_gil()


def is_compiled(module: ModuleType) -> bool:
    """Return whether a module runs compiled; warn if its source was edited since.

    Compiled modules stand in front of their source. Only a checkout of the project is looked at,
    because an installed package is not edited.
    """
    file = module.__file__ or SUFFIX
    if file.endswith(SUFFIX):
        return False
    folder = os.path.dirname(file)
    # Two folders up is where the package lies: beside the project's own files in a checkout.
    if os.path.exists(os.path.join(folder, "..", "..", "pyproject.toml")):
        warn_if_stale(folder)
    return True


def warn_if_stale(folder: str) -> None:
    """Warn of modules in a folder that are older than their source."""
    written: dict[str, dict[bool, float]] = {}
    for entry in os.scandir(folder):
        name, _, suffix = entry.name.partition(".")
        if suffix.endswith(("py", "so", "pyd")):
            written.setdefault(name, {})[suffix == "py"] = entry.stat().st_mtime
    stale = sorted(
        name for name, times in written.items() if len(times) > 1 and times[True] > times[False]
    )
    if stale:
        import warnings  # noqa: PLC0415 - needed by who edits compiled source only

        warnings.warn(
            f"the compiled {', '.join(stale)} in {folder} are older than their source, which is "
            "not in use: compile again, or delete the compiled files",
            RuntimeWarning,
            stacklevel=3,
        )
