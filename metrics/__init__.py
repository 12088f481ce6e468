"""Metrics that a dependency-injection container owns. Importing this package starts nothing.

The package has the instruments, their `Registry` and the `Ticker` that advances them. Containers
are in `metrics.lifecycle`, the hooks that they declare in `metrics.resources`, formats and
destinations in `metrics.exporters` and `metrics.reporters`, aids for tests in `metrics.testing`.

A name is loaded at its first use: `import metrics` alone loads no other module of a program's.
"""

from importlib import import_module

from metrics import _compiled

# Equal to that of `typing`, which takes longer to import than all of this package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from metrics.clock import *
    from metrics.errors import *
    from metrics.instruments import *
    from metrics.registry import *
    from metrics.ticker import *

    COMPILED: bool
    """Whether the instruments run as compiled code."""

FACES = (
    "metrics.errors",
    "metrics.clock",
    "metrics.instruments",
    "metrics.registry",
    "metrics.ticker",
)
"""Modules whose public names are also public in this package, in the order of their layers."""

# Hidden from type checkers, which would accept every name.
if not TYPE_CHECKING:

    def public_names(face: str) -> list[str]:
        """Return the public names of a module."""
        module = import_module(face)
        return getattr(module, "__all__", None) or [n for n in vars(module) if n[0].isalpha()]

    def __getattr__(name: str) -> object:
        if name == "__all__":
            value = sorted(["COMPILED", *[name for face in FACES for name in public_names(face)]])
        elif name == "COMPILED":
            value = _compiled.is_compiled(import_module("metrics.instruments._counter"))
        else:
            for face in FACES:
                if name[0] != "_" and name in public_names(face):
                    value = getattr(import_module(face), name)
                    break
            else:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
