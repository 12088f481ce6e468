"""Errors of imports whose package belongs to an extra of the distribution."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Add the command that installs an extra to the errors of the imports in the block.

    Args:
        extra: the name of the extra that has the imported packages.

    Raises:
        ImportError: a package of the extra has no such name, as in an older version.
        ModuleNotFoundError: a package of the extra is not installed.
    """
    try:
        yield
    except ImportError as error:
        # A module of this library that is missing belongs to no extra.
        if (error.name or "").partition(".")[0] == "metrics":
            raise
        kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
        raise kind(
            f"{error}, which the extra {extra!r} has: pip install 'wired-metrics[{extra}]'",
            name=error.name,
            path=error.path,
        ) from error
