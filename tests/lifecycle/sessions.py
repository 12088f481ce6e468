"""Hooks of every kind that open and close sessions, and wiring for the length of a block."""

from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from weakref import ref

from dependency_injector.wiring import unwire

from metrics.lifecycle import Resource


class Session:
    """Value of a hook: a new object at each start."""

    def __init__(self, name, needed) -> None:
        self.name = name
        self.needed = needed
        self.is_open = True


class Sessions:
    """Records the sessions that its hooks open and close."""

    def __init__(self) -> None:
        self.lines = []

    def open(self, name, *needed):
        self.lines.append(f"open {name}")
        return Session(name, needed)

    def close(self, session) -> None:
        session.is_open = False
        self.lines.append(f"close {session.name}")

    def generator(self, name, *needed):
        session = self.open(name, *needed)
        yield session
        self.close(session)

    async def async_generator(self, name, *needed):
        session = self.open(name, *needed)
        yield session
        self.close(session)

    @contextmanager
    def manager(self, name, *needed):
        session = self.open(name, *needed)
        yield session
        self.close(session)

    @asynccontextmanager
    async def async_manager(self, name, *needed):
        session = self.open(name, *needed)
        yield session
        self.close(session)

    def function(self, name, *needed):
        return Opened(self, name, *needed)

    async def coroutine(self, name, *needed):
        return AsyncOpened(self, name, *needed)

    def resource(self, kind, name, *needed, provider=Resource):
        """Declare a resource whose hook is of one kind."""
        if kind == "class":
            return provider(Opened, self, name, *needed)
        if kind == "async class":
            return provider(AsyncOpened, self, name, *needed)
        return provider(getattr(self, kind.replace(" ", "_")), name, *needed)

    def __deepcopy__(self, memo):
        # dependency-injector copies declared arguments; the records of all copies belong together.
        return self


class Opened:
    """Class used as a hook: a context manager."""

    def __init__(self, sessions, name, *needed) -> None:
        self.arguments = sessions, name, needed

    def __enter__(self):
        sessions, name, needed = self.arguments
        self.session = sessions.open(name, *needed)
        return self.session

    def __exit__(self, *_) -> None:
        self.arguments[0].close(self.session)


class AsyncOpened:
    """Class used as a hook: an asynchronous context manager."""

    def __init__(self, sessions, name, *needed) -> None:
        self.arguments = sessions, name, needed

    async def __aenter__(self):
        sessions, name, needed = self.arguments
        self.session = sessions.open(name, *needed)
        return self.session

    async def __aexit__(self, *_) -> None:
        self.arguments[0].close(self.session)


SYNC = ["generator", "manager", "class", "function"]
ASYNC = ["async generator", "async manager", "async class", "coroutine"]


@contextmanager
def wired(container, *functions):
    """Wire functions to a container for the length of a block."""
    module = ModuleType("wired")
    for number, function in enumerate(functions):
        setattr(module, f"function{number}", function)
    container.wire(modules=[module])
    # The block may be about a container that is garbage-collected.
    alive = ref(container)
    del container
    try:
        yield
    finally:
        wired_to = alive()
        if wired_to is None:
            unwire(modules=[module])
        else:
            wired_to.unwire()
