"""Names, tags and labels as formats write them."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

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


NO_TAGS: Mapping[str, str] = MappingProxyType({})


def checked_tags(tags: object) -> dict[str, str]:
    """Return a copy of tags, in name order.

    Raises:
        TypeError: `tags` is not a mapping of str to str.
        ValueError: a name is empty.
    """
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags is a mapping of str to str, got {tags!r}")
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"tags is a mapping of str to str, got {name!r}: {value!r}")
        if not name:
            raise ValueError(f"tags holds one without a name: {name!r}: {value!r}")
    return dict(sorted(tags.items()))


def merged(
    tags: Mapping[str, str],
    labels: Iterable[tuple[str, str]],
    name_of: Callable[[str], str],
    value_of: Callable[[str], str],
    reserved: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return tags and labels as a format writes them, in name order.

    A label takes the place of a tag with its name, because it says more about the series. One with
    an empty value says nothing and is left out. A name that is reserved, or is written like that of
    another, gets a `_`.

    Args:
        tags: those of all series.
        labels: those of one.
        name_of: writes a name.
        value_of: writes a value.
        reserved: names, as written, that the format keeps for itself.
    """
    texts = {**tags, **{name: value for name, value in labels if value}}
    written: dict[str, str] = {}
    for name, value in sorted(texts.items()):
        key = name_of(name)
        while key in written or key in reserved:
            key += "_"
        if value:
            written[key] = value_of(value)
    return sorted(written.items())
