"""Tags: those that a program gives to all its series, and labels among them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

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
