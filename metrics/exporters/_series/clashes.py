"""Warnings of instruments that a format leaves out, because their names are taken there."""

from functools import lru_cache
from logging import getLogger

logger = getLogger(__name__)


@lru_cache(maxsize=1024)
def warn_once(name: str, exposed: str, clash: str) -> None:
    """Log that an instrument is left out, the first time only."""
    logger.warning("%r is left out: %r is the name of %r already", name, exposed, clash)
