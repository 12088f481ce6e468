"""Names in the letters that servers with dotted names take."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

OTHER = re.compile(r"[^A-Za-z0-9_./-]")


def plain(text: str) -> str:
    """Return a text in letters of any script, ASCII digits, `_`, `.`, `/` and `-`.

    Everything else becomes `_`.
    """
    return OTHER.sub(lambda found: found[0] if found[0].isalpha() else "_", text)


@lru_cache(maxsize=1024)  # there are few names, and all series have them
def tag_name(text: str) -> str:
    """Return the name of a tag as `plain` does; `_` when it is empty."""
    return plain(text) or "_"


def path(*names: str) -> str:
    """Return names as one path with dots between its nodes; `/` is a dot too.

    Empty nodes are left out; a path of none is `_`.
    """
    nodes = plain(".".join(names)).replace("/", ".").split(".")
    return ".".join([text for text in nodes if text]) or "_"


def node(text: str) -> str:
    """Return a text as one node of a path; `_` when it is empty."""
    return plain(text).replace("/", "_").replace(".", "_") or "_"


def nodes(tags: Mapping[str, str], labels: Iterable[tuple[str, str]]) -> list[str]:
    """Return tags, then labels, as the nodes of a path: name, value, name, value."""
    return [node(text) for pair in {**tags, **dict(labels)}.items() for text in pair]


def checked_prefix(what: str, prefix: object) -> str:
    """Return what names begin with; raise TypeError if it is not a str."""
    if not isinstance(prefix, str):
        raise TypeError(f"{what} is a str, got {prefix!r} ({type(prefix).__name__})")
    return prefix
