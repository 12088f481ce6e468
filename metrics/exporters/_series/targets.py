"""Where a server puts series, for formats whose names hold few characters."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from logging import getLogger
from typing import TypeVar

from metrics.exporters._series.series import Labels, Series, key_of, labels_text

P = TypeVar("P", bound=Hashable)

logger = getLogger(__name__)


def placed(
    all_series: Iterable[Series], place: Callable[[Series], P | None]
) -> Iterator[tuple[Series, P]]:
    """Yield series with their places; those that have none are left out.

    Two may have one place, because they differ in nothing but what becomes `_`. Both are written: a
    server that adds up has the right sum, and any other keeps the last. That is logged once.

    Args:
        all_series: those of one pass.
        place: returns what tells a series from others in the format, or None.
    """
    taken: dict[P, tuple[str, Labels]] = {}
    for one in all_series:
        found = place(one)
        if found is None:
            continue
        own = (one.name, one.labels)
        name, labels = known = taken.setdefault(found, own)
        if known is not own:
            warn_once(name + labels_text(labels), key_of(one))
        yield one, found


@lru_cache(maxsize=1024)
def warn_once(first: str, second: str) -> None:
    """Log that two series are written alike, the first time only."""
    logger.warning(
        "%s and %s are written alike, so that a server takes them for one series; let their names "
        "or labels differ in letters or digits",
        first,
        second,
    )
