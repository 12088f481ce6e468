"""Labels: what names they may have, and how they are written."""

from collections.abc import Iterable, Mapping, Sequence

RESERVED_LABELS = frozenset({"le", "quantile", "window"})


def checked_labelnames(labelnames: Iterable[object]) -> tuple[str, ...]:
    """Return label names as a tuple; raise TypeError or ValueError for what cannot be one."""
    if isinstance(labelnames, str):
        raise TypeError(f"label names are a sequence of str, got {labelnames!r}; did you mean "
                        f"({labelnames!r},)?")  # fmt: skip
    names: list[str] = []
    for name in labelnames:
        if not isinstance(name, str):
            raise TypeError(f"a label name is a str, got {name!r} ({type(name).__name__})")
        if not (name.isascii() and name.isidentifier()) or name.startswith("__"):
            raise ValueError(
                f"label name {name!r} is malformed; use ASCII letters, digits and underscores, "
                "not starting with a digit or two underscores"
            )
        if name in RESERVED_LABELS:
            raise ValueError(f"label name {name!r} is reserved for buckets, quantiles and rates")
        names.append(name)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a family takes one or more different label names, got {tuple(names)}")
    return tuple(names)


def text_of(value: object) -> str:
    """Return a label value as an exact str; of an enum of str, its value and not its name."""
    if type(value) is str:
        return value
    return str.__str__(value) if isinstance(value, str) else str(value)


def label_text(names: Sequence[str], values: Sequence[str]) -> str:
    r"""Return labels as `{name="value",...}`, with `\`, `"` and line feeds escaped."""
    pairs = [f'{name}="{escape_label(value)}"' for name, value in zip(names, values, strict=True)]
    return "{" + ",".join(pairs) + "}"


def escape_label(value: str) -> str:
    r"""Return a label value with `\`, `"` and line feeds escaped as Prometheus does."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def checked_labels(labels: object) -> tuple[tuple[str, str], ...]:
    """Return constant labels as pairs in the order of their names.

    Raises:
        TypeError: `labels` is not a mapping of str to str.
        ValueError: a name is malformed or reserved.
    """
    if labels is None:
        return ()
    if not isinstance(labels, Mapping):
        raise TypeError(f"invalid labels {labels!r}: use a mapping of str to str")
    if labels:
        checked_labelnames(labels)
    pairs: list[tuple[str, str]] = []
    for name, value in labels.items():
        if not isinstance(value, str):
            raise TypeError(f"invalid label {name}={value!r}: use a str as value")
        pairs.append((name, value))
    return tuple(sorted(pairs))
