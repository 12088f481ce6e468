"""Names to instruments, and the one table of the kinds of instruments.

A `Registry` creates instruments with `_shortcuts`, whose table lists the kinds (`_kinds`), and puts
them in its `_store`: the table of names (`_entries`), the unregistered instruments that a reader
has not read yet (`_farewells`), and the names of the unreadable ones (`_unreadable`). Hooks and
collectors own `_registrations`. `_inner` is the face for the rest of the library.
"""

from metrics.registry._registry import Registry as Registry
from metrics.registry._snapshot import RegistrySnapshot as RegistrySnapshot
