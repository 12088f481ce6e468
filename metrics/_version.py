"""Version of the installed library."""

from functools import cache


@cache
def library_version() -> str:
    """Return the version of the library, as in its package metadata; empty without them."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow import

    try:
        return version("wired-metrics")
    except PackageNotFoundError:
        return ""
