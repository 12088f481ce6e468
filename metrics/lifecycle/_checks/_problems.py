"""Kinds of problems, and the problems that a check reports."""

from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """Kind of a problem."""

    UNDEFINED = "UNDEFINED"
    """A dependency without a provider, or an abstract provider that is not overridden."""
    MISSING_OPTION = "MISSING_OPTION"
    """An undefined configuration option that is required, or belongs to a strict configuration."""
    UNKNOWN_OPTION = "UNKNOWN_OPTION"
    """A key in the configuration of a `MetricsContainer` that is none of its options."""
    NO_BRANCH = "NO_BRANCH"
    """A selector with a key that matches none of its branches."""
    SIGNATURE = "SIGNATURE"
    """Arguments that do not bind to the signature of their hook, class or function."""
    WRONG_ARGUMENT = "WRONG_ARGUMENT"
    """An argument of another type than the hook takes: swapped registry and ticker, for example."""
    NOT_A_RESOURCE = "NOT_A_RESOURCE"
    """A hook declared with another provider than a resource, which nothing enters."""
    NO_TICKER = "NO_TICKER"
    """A resource that has to be ticked, while neither it nor its registry has a ticker."""
    REDECLARED = "REDECLARED"
    """A provider redeclared in a subclass while other providers use the hidden one."""
    CYCLE = "CYCLE"
    """Providers that need each other."""
    HIDDEN = "HIDDEN"
    """A resource in a closure or a plain collection, where nothing sees that it is needed."""
    STARTED_ON_CLASS = "STARTED_ON_CLASS"
    """A resource that was requested on the container's class, where nothing stops it."""


class Problem(NamedTuple):
    """A fault of a container."""

    fault: Fault
    name: str
    """The dotted name of the provider at fault."""
    message: str
    """The fault and its remedy."""

    def __str__(self) -> str:
        return self.message
