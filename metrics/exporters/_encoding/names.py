"""Character sets of formats: names, tags and labels."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

OTHER = re.compile(r"[^A-Za-z0-9_./-]")

NO_TAGS: Mapping[str, str] = MappingProxyType({})


def plain(text: str) -> str:
    """Return a text of letters of any script, ASCII digits, `_`, `.`, `/` and `-`.

    Other characters become `_`.
    """
    return OTHER.sub(lambda found: found[0] if found[0].isalpha() else "_", text)


@lru_cache(maxsize=1024)  # all series share a few names
def tag_name(text: str) -> str:
    """Return the name of a tag as `plain` does; `_` if it is empty."""
    return plain(text) or "_"


def path(*names: str) -> str:
    """Return names as one path of nodes, separated by dots; a `/` in a name is a dot too.

    Empty nodes are left out; a path without nodes is `_`.
    """
    nodes = plain(".".join(names)).replace("/", ".").split(".")
    return ".".join([text for text in nodes if text]) or "_"


def node(text: str) -> str:
    """Return a text as one node of a path; `_` if it is empty."""
    return plain(text).replace("/", "_").replace(".", "_") or "_"


def nodes(tags: Mapping[str, str], labels: Iterable[tuple[str, str]]) -> list[str]:
    """Return tags, then labels, as the nodes of a path: name, value, name, value."""
    return [node(text) for pair in {**tags, **dict(labels)}.items() for text in pair]


def checked_prefix(option: str, prefix: object) -> str:
    """Return the prefix of names; raise TypeError if it is not a str."""
    if not isinstance(prefix, str):
        raise TypeError(f"invalid {option} {prefix!r} ({type(prefix).__name__}): use a str")
    return prefix


def checked_tags(tags: object) -> dict[str, str]:
    """Return a copy of tags, in name order.

    Raises:
        TypeError: `tags` is not a mapping of str to str.
        ValueError: a name is empty.
    """
    rule = "use a mapping of str to str"
    if not isinstance(tags, Mapping):
        raise TypeError(f"invalid tags {tags!r}: {rule}")
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"invalid tag {name!r}: {value!r}: {rule}")
        if not name:
            raise ValueError(f"invalid tag {name!r}: {value!r}: use a name that is not empty")
    return dict(sorted(tags.items()))


def merge_tags(
    tags: Mapping[str, str],
    labels: Iterable[tuple[str, str]],
    name_of: Callable[[str], str],
    value_of: Callable[[str], str],
    reserved: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return tags and labels in the character set of a format, in name order.

    A label replaces a tag of the same name, because it says more about the series. Empty values are
    left out. A reserved name, and one that is written like another, gets a `_`.

    Args:
        tags: the tags of all series.
        labels: the labels of one series.
        name_of: returns a name in the character set of the format.
        value_of: returns a value in the character set of the format.
        reserved: names, as written, that have a meaning of their own in the format.
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
