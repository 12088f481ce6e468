"""Hooks that record their calls, for tests of starts and stops, and the notes on their errors."""

from contextlib import contextmanager


class Calls:
    """Records the calls of its hooks, each of which then does what the test wants."""

    def __init__(self) -> None:
        self.lines = []
        self.actions = {}

    @contextmanager
    def part(self, name, *needed):
        self.run(f"start {name}")
        yield name
        self.run(f"stop {name}")

    def run(self, line) -> None:
        self.lines.append(line)
        self.actions.get(line, lambda: None)()

    def fail(self, line) -> None:
        def raise_error() -> None:
            raise OSError(line)

        self.actions[line] = raise_error

    def __deepcopy__(self, memo):
        # dependency-injector copies what is declared, and this must stay one.
        return self


def note_of(phase: str, name: str, hook: object, container: str) -> str:
    """Return the note on the error of a hook while it is `starting` or `stopping`."""
    return f"while {phase} {name!r} ({hook.__module__}.{hook.__qualname__}) of {container}"


def is_noted(error: BaseException, phase: str, name: str) -> bool:
    """Return whether the last note on an error is that of a hook, whichever it is."""
    return error.__notes__[-1].startswith(f"while {phase} {name!r} (")
