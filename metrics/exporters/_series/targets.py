"""Targets of series on a server: the keys under which formats of few characters write them."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from logging import getLogger
from typing import TypeVar

from metrics.exporters._series.series import Labels, Series, key_of, labels_text

T = TypeVar("T", bound=Hashable)

logger = getLogger(__name__)


def assign_targets(
    all_series: Iterable[Series], target_of: Callable[[Series], T | None]
) -> Iterator[tuple[Series, T]]:
    """Yield series with their targets; series without one are left out.

    Two series may have one target, because they differ only in characters that become `_`. Both are
    written: a server that adds has the right sum, and any other keeps the last. It is logged once.

    Args:
        all_series: the series of one read.
        target_of: returns the key that distinguishes a series in the format, or None.
    """
    taken: dict[T, tuple[str, Labels]] = {}
    for one in all_series:
        target = target_of(one)
        if target is None:
            continue
        own = (one.name, one.labels)
        name, labels = known = taken.setdefault(target, own)
        if known is not own:
            warn_once(name + labels_text(labels), key_of(one))
        yield one, target


@lru_cache(maxsize=1024)
def warn_once(first: str, second: str) -> None:
    """Log that two series are written alike, the first time only."""
    logger.warning(
        "%s and %s are written alike, so that a server takes them for one series; let their names "
        "or labels differ in letters or digits",
        first,
        second,
    )
