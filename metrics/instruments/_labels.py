"""Labels: rules for their names, and the text of their values."""

from collections.abc import Iterable, Mapping, Sequence

RESERVED_LABELS = frozenset({"le", "quantile", "window"})
"""Label names that formats use themselves: for buckets, quantiles and rates."""


def checked_labelnames(labelnames: Iterable[object], *, dots: bool = True) -> tuple[str, ...]:
    """Return label names as a tuple, which may be empty.

    Args:
        labelnames: the names.
        dots: whether a name may consist of words with dots between them, as OpenTelemetry's
            attributes do. Formats that cannot write a dot write an underscore.

    Raises:
        TypeError: `labelnames` is a str, or an element is not a str.
        ValueError: a label name is malformed, reserved, or repeated, if only with underscores for
            dots.
    """
    if isinstance(labelnames, str):
        raise TypeError(
            f"label names {labelnames!r} are a str: pass a sequence of str; did you mean "
            f"({labelnames!r},)?"
        )
    names: list[str] = []
    legacy_names: list[str] = []
    for name in labelnames:
        if not isinstance(name, str):
            raise TypeError(f"label name {name!r} is of type {type(name).__name__}: pass a str")
        words = name.split(".") if dots else [name]
        if not name.isascii() or not is_well_formed(words) or name.startswith("__"):
            raise ValueError(
                f"label name {name!r} is malformed: use ASCII letters, digits and underscores"
                f"{', with dots between words' if dots else ''}, "
                "not starting with a digit or two underscores"
            )
        if name in RESERVED_LABELS:
            raise ValueError(
                f"label name {name!r} is reserved for buckets, quantiles and rates: use another"
            )
        legacy = legacy_label(name)
        if legacy in legacy_names:
            other = names[legacy_names.index(legacy)]
            rule = "" if name == other else f"formats write {other!r} alike; "
            raise ValueError(f"label name {name!r} is repeated: {rule}use different names")
        names.append(name)
        legacy_names.append(legacy)
    return tuple(names)


def is_well_formed(words: Sequence[str]) -> bool:
    """Return whether words with dots between them are a label name."""
    # A digit may begin any word but the first.
    return words[0].isidentifier() and all(f"_{word}".isidentifier() and word for word in words)


def legacy_label(name: str) -> str:
    """Return a label name with underscores for its dots, as Prometheus' legacy alphabet has it."""
    return name.replace(".", "_")


def text_of(value: object) -> str:
    """Return a label value as an exact str: an enum member of type str becomes its value."""
    if type(value) is str:
        return value
    return str.__str__(value) if isinstance(value, str) else str(value)


def label_text(names: Sequence[str], values: Sequence[str]) -> str:
    r"""Return labels as `{name="value",...}`, with `\`, `"` and line feeds escaped.

    Without labels the text is empty.
    """
    if not names:
        return ""
    pairs = [f'{name}="{escape_label(value)}"' for name, value in zip(names, values, strict=True)]
    return "{" + ",".join(pairs) + "}"


def escape_label(value: str) -> str:
    r"""Return a label value with `\`, `"` and line feeds escaped as Prometheus requires."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def checked_labels(labels: object, *, dots: bool = True) -> tuple[tuple[str, str], ...]:
    """Return constant labels as pairs in the order of their names.

    Args:
        labels: the labels.
        dots: as in `checked_labelnames`.

    Raises:
        TypeError: `labels` is not a mapping of str to str.
        ValueError: a name is malformed or reserved.
    """
    if labels is None:
        return ()
    if not isinstance(labels, Mapping):
        raise TypeError(f"invalid labels {labels!r}: use a mapping of str to str")
    if labels:
        checked_labelnames(labels, dots=dots)
    pairs: list[tuple[str, str]] = []
    for name, value in labels.items():
        if not isinstance(value, str):
            raise TypeError(f"invalid label {name}={value!r}: use a str as value")
        pairs.append((name, value))
    return tuple(sorted(pairs))
