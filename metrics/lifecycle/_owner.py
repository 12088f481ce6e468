"""Container of resources, as their lifecycle knows it."""

from collections.abc import Collection
from typing import Protocol

from dependency_injector import containers

from metrics.lifecycle._graph import AnyResource, Singleton
from metrics.lifecycle._record import Events, ResourceRecord


class Owner(Protocol):
    """Container that resources belong to."""

    events: Events
    """Recipients of the events."""
    stock: dict[AnyResource, ResourceRecord]
    """Records of dependency-injector's own resources."""
    has_singletons: bool
    """Whether singletons may have been made of its resources."""

    @property
    def stop_seconds(self) -> float | None:
        """Time limit of a stop without a timeout; None for no limit."""

    @property
    def container(self) -> containers.DynamicContainer | None:
        """The container itself, unless it was collected."""

    def record_of(self, provider: AnyResource) -> ResourceRecord | None:
        """Return the record of a resource; None when another container owns it."""

    def in_use(self, resource: AnyResource) -> bool:
        """Return whether another running resource depends on a resource."""

    def close_stock(self) -> None:
        """Have dependency-injector's own resources refuse requests, as the container's do."""

    def reopen_stock(self) -> None:
        """Let dependency-injector's own resources be requested again."""

    def reset_stock(self, survivors: Collection[ResourceRecord]) -> None:
        """Reset dependency-injector's own resources, except survivors, in a forked process."""

    def made_of(self, records: Collection[ResourceRecord]) -> list[ResourceRecord]:
        """Return the running resources that may hold values of resources."""

    def stale_singletons(self, records: Collection[ResourceRecord]) -> list[Singleton]:
        """Return the singletons that may have been made of resources."""
