"""Overrides of a container's providers for a test, which are exactly undone at its end."""

from metrics.testing.overriding.context import Overriding, overridden

__all__ = ["Overriding", "overridden"]
