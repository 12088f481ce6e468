"""Hooks that record what they do, for tests of starts and stops."""

from contextlib import contextmanager


class Calls:
    """Records what its hooks do, and does then what the test wants."""

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
