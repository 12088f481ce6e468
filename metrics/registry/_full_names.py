"""Full names: what instruments are called in a registry, behind its prefix."""

SEPARATORS = "/._-: "


def joined(prefix: str, name: str) -> str:
    """Return a longer prefix, ended by a separator."""
    return prefix + name if name[-1] in SEPARATORS else f"{prefix}{name}/"


def checked_name(what: str, name: str) -> str:
    """Return a name if an instrument can have it; raise TypeError or ValueError if not."""
    if not isinstance(name, str):
        raise TypeError(f"a {what} is a str, got {name!r} ({type(name).__name__})")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"a {what} is one or more printable characters without space around them, got {name!r}"
        )
    return name
