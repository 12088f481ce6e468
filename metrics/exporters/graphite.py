"""Graphite's plaintext protocol, with tags or without.

The format: https://graphite.readthedocs.io/en/latest/feeding-carbon.html and
https://graphite.readthedocs.io/en/latest/tags.html
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial

from metrics.exporters._encoding.framing import join_chunks, render_of
from metrics.exporters._encoding.names import (
    NO_TAGS,
    checked_prefix,
    checked_tags,
    merge_tags,
    nodes,
    path,
)
from metrics.exporters._encoding.numbers import decimal
from metrics.exporters._encoding.units import checked_seconds, per_second
from metrics.exporters._series.fields import fields
from metrics.exporters._series.series import Series, read_series, split_points
from metrics.exporters._series.targets import assign_targets
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

STYLES = ("tags", "nodes")

RESERVED = frozenset({"name"})
"""Tag that the server keeps for the path."""

IN_NAME = re.compile(r"[;!^=~\s\x00-\x1f\x7f]")

# carbon reads a path that ends with `"}` as a name of OpenMetrics.
IN_VALUE = re.compile(r"[;\s\x00-\x1f\x7f]|\A~|(?<=\")\}\Z")


def stream(
    registry: Registry,
    *,
    timestamp_ns: int,
    namespace: str = "",
    tags: Mapping[str, str] = NO_TAGS,
    label_style: str = "tags",
    duration_unit: str = "milliseconds",
    reader: str = "graphite",
) -> Iterator[bytes]:
    """Yield the values of a registry as lines, one for each number, in name order.

    Paths are `<namespace>.<name>.<field>`, with go-ethereum's names for the fields; `/` becomes a
    dot, and any other character than a letter, an ASCII digit, `-` or `_` becomes `_`; a warning is
    logged when two series are the same after that. NaN and infinities are left out.

    Chunks have some tens of KB each, of whole lines.

    Args:
        registry: the registry to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970; written in whole seconds.
        namespace: the prefix of all paths.
        tags: tags of every series that has no label of the same name.
        label_style: `tags` writes labels as `;name=value`, which needs Graphite 1.1, and info
            labels as the tags of a 1; `nodes` writes labels into the path, as
            `<namespace>.<name>.<label>.<value>.<field>`, and leaves out info instruments.
        duration_unit: the unit of timers: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `timestamp_ns` is not an int, `namespace` not a str, or `tags` not str to str.
        ValueError: a tag's name is empty, or `timestamp_ns`, `label_style` or `duration_unit` is
            malformed.
    """
    if label_style not in STYLES:
        raise ValueError(f"invalid label_style {label_style!r}: use {' or '.join(STYLES)}")
    end = f" {checked_seconds(timestamp_ns)}\n"
    namespace = checked_prefix("namespace", namespace)
    tags = checked_tags(tags)
    times = per_second(duration_unit)
    place = tag_path if label_style == "tags" else node_path
    all_series = split_points(read_series(registry, reader))
    return join_chunks(
        f"{stem}.{path(field)}{tail} {decimal(value)}{end}"
        for one, (stem, tail) in assign_targets(all_series, partial(place, namespace, tags))
        for field, value in fields(one, times).items()
    )


render = render_of(stream)


def tag_path(namespace: str, tags: Mapping[str, str], one: Series) -> tuple[str, str]:
    """Return the text before the field and the text after it, with labels as tags."""
    pairs = merge_tags(tags, one.labels, tag_name, tag_value, RESERVED)
    return path(namespace, one.name), "".join([f";{name}={value}" for name, value in pairs])


def node_path(namespace: str, tags: Mapping[str, str], one: Series) -> tuple[str, str] | None:
    """Return the text before the field, with labels as nodes; None for info labels."""
    if one.is_info:
        return None
    return path(namespace, one.name, *nodes(tags, one.labels)), ""


@lru_cache(maxsize=1024)  # there are few names, and most series share them
def tag_name(name: str) -> str:
    """Return the name of a tag; characters that the server refuses become `_`, and so does none."""
    return IN_NAME.sub("_", name) or "_"


def tag_value(value: str) -> str:
    """Return the value of a tag; characters that the server refuses become `_`."""
    return IN_VALUE.sub("_", value)
