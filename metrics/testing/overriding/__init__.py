"""Overrides of a container's providers for a test, which are exactly undone at its end."""

from metrics.testing.overriding._context import Overriding, overridden

__all__ = ["Overriding", "overridden"]
