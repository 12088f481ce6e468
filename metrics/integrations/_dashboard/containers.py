"""Container of a page: its graph, events and reporters, through the one method that it offers.

Integrations import neither dependency-injector nor the lifecycle: any object whose class has the
method `__metrics_view__` is a container here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from metrics.integrations._providers import provider_of
from metrics.reporters._push.reporter import Reporter

Record: TypeAlias = Any
"""Named tuple of the lifecycle: a resource, or an event of the journal."""


class View(Protocol):
    """View of a container, as `metrics.lifecycle` gives it. Safe to use from any thread."""

    @property
    def name(self) -> str:
        """The name of the container."""

    @property
    def state(self) -> str:
        """The state of the container."""

    def resources(self) -> Sequence[Record]:
        """Return the resources in the order of their start."""

    def journal(self, after: int = 0) -> Sequence[Record]:
        """Return the last events, later than a number."""

    def subscribe(self, subscriber: Callable[[Any], object], /) -> Callable[[], None]:
        """Call a function for every event; return a function that ends that."""

    def reporters(self) -> Sequence[Reporter]:
        """Return the running reporters."""

    def redact(self, text: str) -> str:
        """Return a text without values of the container's configuration."""


def view_of(source: object) -> View | None:
    """Return the view of the container of a page's source; None without such a container.

    Args:
        source: a container, a provider of one's registry, or a registry, whose container is
            unknown.
    """
    for candidate in (source, getattr(provider_of(source), "container", None)):
        view = getattr(type(candidate), "__metrics_view__", None)
        if view is not None:
            found: View = view(candidate)
            return found
    return None


def describe_container(view: View) -> dict[str, Any]:
    """Return a container as the page reads it."""
    return {
        "name": view.name,
        "state": str(view.state),
        "resources": [describe_resource(resource) for resource in view.resources()],
        "events": [describe_event(event) for event in view.journal()],
    }


def describe_resource(resource: Record) -> dict[str, Any]:
    """Return a resource as the page reads it."""
    fields: dict[str, Any] = resource._asdict()
    failure = fields.pop("failure")
    return fields | {"error": None if failure is None else failure._asdict()}


def describe_event(event: Record) -> dict[str, Any]:
    """Return an event as the page reads it: its error has no stack, which the resource has."""
    failure = event.failure
    return {
        "time": event.time,
        "resource": event.resource,
        "state": event.state,
        "previous": event.previous,
        "seconds": event.seconds,
        "error": None if failure is None else {"type": failure.type, "message": failure.message},
    }


def describe_reporters(view: View) -> list[dict[str, Any]]:
    """Return the running reporters as the page reads them."""
    return [reporter.status()._asdict() for reporter in view.reporters()]
