"""Hooks made from the shortcuts of a registry: the same arguments, with a lifetime."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_args, get_type_hints

from metrics._fork import survives_fork
from metrics.deadline import remaining
from metrics.instruments import Healthcheck
from metrics.registry import Registry
from metrics.registry._inner import Registrations, Shortcuts

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", bound=Callable[..., object])

TICKED = "__ticked__"
"""Attribute of hooks that need a ticker: their own, or that of their registry."""


def needs_ticker(hook: H) -> H:
    """Mark a hook whose resource has to be ticked, for the check of a container."""
    setattr(hook, TICKED, True)
    return hook


def hook(
    shortcut: Callable[Concatenate[Shortcuts, P], T],
    name: str = "",
    *,
    stop: Callable[[T, str], object] | None = None,
) -> Callable[Concatenate[Registry, P], AbstractContextManager[T]]:
    """Return the hook of a shortcut: it takes a registry, and the arguments of the shortcut.

    Args:
        shortcut: the method of `Shortcuts`.
        name: the name of the hook; by default that of the shortcut.
        stop: called with the instrument and its full name after it was unregistered.
    """

    @survives_fork
    @contextmanager
    def enter(registry: Registry, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        registrations = Registrations(registry)
        # Looked up by name: `Shortcuts.register` is abstract.
        create: Callable[P, T] = getattr(registrations, shortcut.__name__)
        try:
            instrument = create(*args, **kwargs)
            yield instrument
        finally:
            names = registrations.close()
            if stop is not None and names:
                stop(instrument, registry.prefix + names[0])

    describe(enter, shortcut, name or shortcut.__name__)
    # By name, too, `registry` is accepted; the type system cannot express both.
    return cast("Callable[Concatenate[Registry, P], AbstractContextManager[T]]", enter)


def stop_check(check: Healthcheck, name: str) -> None:
    """Wait for a health check that is running, as long as the container has time to stop.

    Raises:
        StopTimeoutError: the check did not end in that time.
    """
    # A no-op of a disabled registry never runs.
    if type(check) is Healthcheck:
        check._stop(name, remaining())  # noqa: SLF001 - programs do not stop a check


def describe(enter: Any, shortcut: Callable[..., object], name: str) -> None:
    """Give a hook its name, and the text and the signature of its shortcut."""
    signature = inspect.signature(shortcut)
    _, *parameters = signature.parameters.values()
    registry = inspect.Parameter(
        "registry", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Registry
    )
    if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        parameters[-1:] = options_of(parameters[-1])
    provided: Any = signature.return_annotation
    enter.__signature__ = signature.replace(
        parameters=[registry, *parameters], return_annotation=AbstractContextManager[provided]
    )
    enter.__annotations__ = {
        **{each.name: each.annotation for each in enter.__signature__.parameters.values()},
        "return": AbstractContextManager[provided],
    }
    enter.__name__ = enter.__qualname__ = name
    enter.__module__ = "metrics.resources"
    enter.__doc__ = shortcut.__doc__


def options_of(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """Return the options of a `**options: Unpack[...]`, one by one; the default is `...`."""
    (options,) = get_args(parameter.annotation)
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=annotation)
        for name, annotation in get_type_hints(options).items()
    ]
