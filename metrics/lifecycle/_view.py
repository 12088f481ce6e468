"""View of a container: states, events and reporters, for code that does not import this package.

An integration that is given a container finds the method `__metrics_view__` on its class, and reads
the attributes of the result, so that the layers of the library stay apart.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, final
from urllib.parse import unquote

from dependency_injector import providers

from metrics.lifecycle._graph import Provider, all_needs, in_order
from metrics.lifecycle._hooks import hook_name
from metrics.lifecycle._lifecycle import Lifecycle
from metrics.lifecycle._ownership import Ownership
from metrics.lifecycle._record import Failure, JournalEntry, Subscriber
from metrics.lifecycle._transition import State
from metrics.reporters._push.reporter import Reporter

SHORTEST = 4
"""Fewest characters of a configuration value that is redacted; shorter ones are ordinary words."""

USER_PASSWORD = re.compile(r"//[^/@\s]*?:([^/@\s]+)@")
"""Password in a URL."""


class ResourceView(NamedTuple):
    """One resource of a container."""

    name: str
    state: State
    asynchronous: bool
    """Whether it is started in an event loop."""
    borrowed: bool
    """Whether another container starts and stops it."""
    needs: tuple[str, ...]
    """The resources on which it depends, directly or through other providers."""
    hook: str
    """Dotted name of its hook."""
    started: float | None
    """Beginning of its last start, in seconds since the Unix epoch; None if it never started."""
    seconds: float | None
    """Duration of that start; None while it is under way, too."""
    failure: Failure | None
    """Reason of its last FAILED, until the next start."""


@final
class ContainerView:
    """Resources, events and reporters of a container. Safe to use from any thread.

    Texts of exceptions are redacted: values of the container's configuration are replaced by `***`.
    The view does not keep the container alive.

    Args:
        ownership: the resources of the container.
    """

    __slots__ = ("_ownership",)

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    @property
    def name(self) -> str:
        """The name of the container."""
        return self._ownership.lifecycle.name

    @property
    def state(self) -> State:
        """The state of the container."""
        return self._ownership.lifecycle.state

    def resources(self) -> list[ResourceView]:
        """Return the resources in the order of their start. Starts nothing.

        Raises:
            LifecycleError: the container was garbage collected.
        """
        return [
            each if each.failure is None else each._replace(failure=self._redacted(each.failure))
            for each in resources_of(self._ownership)
        ]

    def journal(self, after: int = 0) -> list[JournalEntry]:
        """Return the last 500 events, oldest first; only later ones than a number if given.

        Raises:
            LifecycleError: the container was garbage collected.
        """
        return [
            each if each.failure is None else each._replace(failure=self._redacted(each.failure))
            for each in self._ownership.events.journal(after)
        ]

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber(event)` for every event, as `metrics.lifecycle.subscribe` does."""
        return self._ownership.events.subscribe(subscriber)

    def reporters(self) -> list[Reporter]:
        """Return the reporters among the values of running resources."""
        return [
            record.value
            for record in list(self._ownership.lifecycle.records)
            if record.running and isinstance(record.value, Reporter)
        ]

    def redact(self, text: str) -> str:
        """Return a text in which values of the configuration are replaced by `***`.

        Raises:
            LifecycleError: the container was garbage collected.
        """
        pattern = config_pattern(self._ownership)
        return text if pattern is None else pattern.sub("***", text)

    def _redacted(self, failure: Failure) -> Failure:
        return Failure(failure.type, self.redact(failure.message), self.redact(failure.stack))


def resources_of(ownership: Ownership) -> Iterator[ResourceView]:
    """Yield the resources of a container in the order of their start. Starts nothing."""
    steps = {step.provider: step for step in ownership.all_steps()}
    # The names of the resources that a provider is or depends on, the nearest ones.
    nearest: dict[Provider, dict[str, None]] = {}
    for provider, needed in in_order(ownership.declarations.providers.values(), all_needs):
        needs = {name: None for need in needed for name in nearest.get(need, {})}
        if provider in steps:
            record, resource, asynchronous = steps[provider]
            keeper = record.keeper
            borrowed = not ownership.owns(record)
            name = record.name
            if borrowed and isinstance(keeper, Lifecycle):
                name = f"{keeper.name}.{name}"
            yield ResourceView(
                name,
                record.state,
                asynchronous,
                borrowed,
                tuple(needs),
                hook_name(record.hook or resource.provides),
                record.started_at,
                record.start_seconds,
                record.failure,
            )
            needs = {name: None}
        nearest[provider] = needs


def config_pattern(ownership: Ownership) -> re.Pattern[str] | None:
    """Return a pattern of the texts in the configuration of a container; None if it has none."""
    found: set[str] = set()
    for provider, _ in in_order(ownership.declarations.providers.values(), all_needs):
        if isinstance(provider, providers.Configuration):
            try:
                found.update(texts_in(provider()))
            except Exception:  # noqa: BLE001, S112 - a strict one without values raises
                continue
    # The longest first, because a value may contain another.
    patterns = [re.escape(text) for text in sorted(found, key=len, reverse=True)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)") if patterns else None


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a configuration, and the passwords in its URLs."""
    if isinstance(value, str):
        for text in (value, repr(value)[1:-1], *USER_PASSWORD.findall(value)):
            for form in (text, unquote(text)):
                if len(form) >= SHORTEST and form.strip():
                    yield form
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for each in value:
            yield from texts_in(each)
