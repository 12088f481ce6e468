"""Inner face of the registry, for formats, reporters, collectors, hooks and the test kit.

Programs use `Registry`; nothing here is a promise to them.
"""

from metrics.registry._entries import Entries as Entries
from metrics.registry._entries import Entry as Entry
from metrics.registry._entries import Labels as Labels
from metrics.registry._entries import is_ticking as is_ticking
from metrics.registry._entries import kind_of as kind_of
from metrics.registry._entries import type_name as type_name
from metrics.registry._entries import type_of as type_of
from metrics.registry._kinds import Defaults as Defaults
from metrics.registry._kinds import Exported as Exported
from metrics.registry._kinds import Kind as Kind
from metrics.registry._names import exported_name as exported_name
from metrics.registry._names import stem as stem
from metrics.registry._names import without as without
from metrics.registry._registrations import Registrations as Registrations
from metrics.registry._registrations import warn_without_ticker as warn_without_ticker
from metrics.registry._registry import Registry
from metrics.registry._shortcuts import KINDS as KINDS
from metrics.registry._shortcuts import SNAPSHOT_KINDS as SNAPSHOT_KINDS
from metrics.registry._shortcuts import TABLE as TABLE
from metrics.registry._shortcuts import Shortcuts as Shortcuts
from metrics.registry._store import Group as Group
from metrics.registry._store import GroupIdentity as GroupIdentity
from metrics.registry._store import ReadProgress as ReadProgress
from metrics.registry._store import Store as Store
from metrics.registry._store import Worker as Worker


def store_of(registry: Registry) -> Store:
    """Return the instruments of a registry as readers read them."""
    return registry._store


def close(registry: Registry) -> None:
    """Clear a registry whose resource stops, so that pages refuse it: it would look empty."""
    registry.clear()
    registry._store.table.closed = True


def is_closed(registry: Registry) -> bool:
    """Return whether the resource that created a registry, or its parent, has stopped."""
    return registry._store.table.closed
