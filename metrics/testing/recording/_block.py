"""Recording of the changes in a registry while a block runs."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

from dependency_injector import providers

from metrics.errors import NotRunningError
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.testing.recording._changes import Changes

_recordings: ContextVar[tuple[Changes, ...]] = ContextVar("metrics-recordings", default=())
"""The recordings of this context, the innermost last."""

_everywhere: list[Changes] = []
"""The recordings of the process that have not ended."""

_readers = threading.Lock()
_reader_numbers: set[int] = set()


@contextmanager
def recorded(source: Registry | Any) -> Iterator[Changes]:
    """Record the changes in a registry while the `with` block runs, in any thread or task.

        with recorded(registry) as changes:
            serve(request)
        assert changes["rpc/requests"].count == 1

    Updates are recorded from the beginning of the block to its end, also of instruments that are
    registered or unregistered in it; of several instruments with one name, the last one counts.
    Other readers of the registry are not affected. All updates of histograms and timers are
    recorded, which makes them slower meanwhile; other instruments are only read.

    Blocks may overlap and nest, and `await` may be in them.

    Args:
        source: a registry, or a running container: its `registry` is recorded, or the registry
            of the one embedded container that has one.

    Raises:
        NotRunningError: the registry of the container does not run.
        TypeError: `source` is, or has, no registry, or more than one.
    """
    registry = registry_of(source)
    with reader_name() as reader:
        changes = Changes(registry, reader)
        with store_of(registry).watch(changes._begin):
            try:
                for entry in store_of(registry).entries():
                    changes._follow(entry, is_new=False)
                _recordings.set((*still_open(), changes))
                _everywhere.append(changes)
                yield changes
            finally:
                changes._end()
                _recordings.set(still_open())
                _everywhere[:] = [other for other in _everywhere if other is not changes]


def assert_recorded(
    name: str,
    labels: Mapping[str, object] | None = None,
    /,
    *misplaced: object,
    **expected: object,
) -> None:
    """Fail unless an instrument changed as expected in the innermost open `recorded` block.

        with recorded(registry):
            serve(request)
            assert_recorded("rpc/requests", count=1)
            assert_recorded("http/requests", {"method": "GET"}, count=1)

    After the block, and in a thread that could mean several blocks, write
    `changes.assert_recorded(...)`, which has the same arguments and errors.

    Raises:
        RuntimeError: no block is open, or more than one and none of them by this context.
        TypeError: the first argument is a `Changes`.
    """
    __tracebackhide__ = True
    if isinstance(name, Changes):
        arguments = [each for each in (labels, *misplaced) if each is not None]
        raise TypeError(
            "assert_recorded() takes the name of an instrument, got a Changes; write "
            f"changes.{call(arguments, expected)}"
        )
    if misplaced:
        raise TypeError(
            f"assert_recorded() takes a name and a dict of labels, got {misplaced[0]!r} as well; "
            f"expected values have a name, as in assert_recorded({name!r}, count=1)"
        )
    ours = still_open() or _everywhere
    if not ours or (len(ours) > 1 and not still_open()):
        count = f"{len(ours)} `recorded` blocks are open" if ours else "no `recorded` block is open"
        arguments = [name] if labels is None else [name, labels]
        raise RuntimeError(
            f"assert_recorded() means the block that it is called in, and {count} here; write "
            f"changes.{call(arguments, expected)}, with the `changes` of its block"
        )
    ours[-1].assert_recorded(name, labels, **expected)


def call(arguments: Sequence[object], expected: Mapping[str, object]) -> str:
    """Return the text of a call of `assert_recorded`."""
    texts = [*map(repr, arguments), *[f"{name}={value!r}" for name, value in expected.items()]]
    return f"assert_recorded({', '.join(texts)})"


def still_open() -> tuple[Changes, ...]:
    """Return the recordings of this context that have not ended."""
    return tuple([changes for changes in _recordings.get() if not changes._ended])


@contextmanager
def reader_name() -> Iterator[str]:
    """Reserve a reader's name while the block runs; it is reused later.

    Instruments remember every reader for ever, so that the number of names must be limited.
    """
    with _readers:
        number = next(n for n in count() if n not in _reader_numbers)
        _reader_numbers.add(number)
    try:
        yield f"recorded-{number}"
    finally:
        with _readers:
            _reader_numbers.discard(number)


def registry_of(source: Any) -> Registry:
    """Return a registry itself, or the registry of a running container."""
    if isinstance(source, Registry):
        return source
    if isinstance(source, type) and hasattr(source, "providers"):
        raise TypeError(f"recorded() takes a container, not its class: call {source.__name__}()")
    if not isinstance(getattr(source, "providers", None), dict):
        raise TypeError(f"recorded() takes a Registry or a container, got {source!r}")
    provider = source.providers.get("registry")
    if provider is None:
        embedded = [p.container.providers for p in source.traverse([providers.Container])]
        found = [declared["registry"] for declared in embedded if "registry" in declared]
        if len(found) != 1:
            raise TypeError(
                f"recorded() takes a container with one `registry`, and {source!r} has "
                f"{len(found)}; give it the registry itself"
            )
        provider = found[0]
    overriding = provider
    while overriding.last_overriding is not None:
        overriding = overriding.last_overriding
    # A request would start it, and nothing would stop it.
    if isinstance(overriding, providers.BaseResource) and not overriding.initialized:
        raise NotRunningError(
            f"recorded() takes a running container, and the registry of {source!r} does not run: "
            "start the container first, in a block around this one"
        )
    registry = provider()
    if not isinstance(registry, Registry):
        raise TypeError(f"the `registry` of {source!r} gives no Registry, but {registry!r}")
    return registry
