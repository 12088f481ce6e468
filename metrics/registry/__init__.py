"""Names to instruments.

The `registry` holds `entries` under their full names, and refuses what would be exported under a
name that is taken (`exported_names`). Its `shortcuts` make instruments when they are first asked
for. What is read of it is a `snapshot`; `farewells` are what was unregistered before it was read,
and `unreadable` is what cannot be.
"""

from metrics.registry._entries import Entry
from metrics.registry._registry import Registry, ticks
from metrics.registry._snapshot import RegistrySnapshot

__all__ = ["Entry", "Registry", "RegistrySnapshot", "ticks"]
