"""Comparison of a whole run of pytest: leaks of imports, and excused objects, at its end."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, final

from metrics.testing.leaks._allowances import Ignored
from metrics.testing.leaks._check import Check
from metrics.testing.leaks._inventory import Inventory, take
from metrics.testing.leaks._naming import FOR_POOL, REMEDIES, holder_of
from metrics.testing.leaks._origins import recording

if TYPE_CHECKING:
    from metrics.testing.leaks._naming import Leak

POOL = (
    "A pool of a module lives as long as the process: shut it down in a session-scoped fixture, or "
    "allow it in leakcheck_ignore"
)
IMPORTED = (
    "Start it in a function instead of an import, or allow it in leakcheck_ignore; "
    "leakcheck_session = false reports it without failing the run"
)


@final
class SessionBaseline:
    """Baseline of a run, taken before a conftest.py or a test module is imported.

    Args:
        ignore: see `no_leaks`.
        grace: see `no_leaks`.
    """

    def __init__(self, ignore: tuple[Ignored, ...], grace: float) -> None:
        # Loaded now, or the pool of a module that loads it would have no line to report.
        import concurrent.futures.thread  # noqa: F401, PLC0415 - and no run without the check does

        self._recording = ExitStack()
        self._recording.enter_context(recording())
        self._check = Check(ignore, grace, excusing=False)

    def close(self) -> None:
        """Stop recording where threads and the like are started."""
        self._recording.close()

    @property
    def used(self) -> set[Ignored]:
        """Patterns that have matched at the end of the run."""
        return self._check.used

    def answer(self, objects: Inventory) -> None:
        """Drop objects from the comparison that a test has been blamed or excused for."""
        self._check.exclude(objects)

    def leaks(self) -> "list[Leak]":
        """Return the leaks at the end of the run, also the ones that were excused in its tests."""
        # A log file of a module is open for the life of the process, and pytest has files as well.
        unknown = {
            key: obj
            for key, obj in take().items()
            if key.kind == "descriptor" and holder_of(obj) is None
        }
        self._check.exclude(unknown)
        return [leak for leak in self._check.leaks() if not is_of_plugin(leak)]


def is_of_plugin(leak: "Leak") -> bool:
    """Return whether it was started in `pytest_configure`, and may end in `pytest_unconfigure`."""
    return any(place.function == "pytest_configure" for place in leak.stack)


def advice(leak: "Leak") -> str:
    """Return the remedy for an object that is left at the end of a run."""
    if leak.kind in REMEDIES:
        return f"{REMEDIES[leak.kind].capitalize()}, or allow it in leakcheck_ignore"
    pooled = leak.kind == "executor thread" or any(map(is_about_pool, leak.context))
    return POOL if pooled else IMPORTED


def is_about_pool(line: str) -> bool:
    """Return whether a line of a leak's context names the pool that it belongs to."""
    return line.startswith(FOR_POOL)
