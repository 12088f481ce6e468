"""Replacing what a container provides, for a test, and putting back exactly what was there."""

from metrics.testing.overriding.context import Overriding, overridden

__all__ = ["Overriding", "overridden"]
