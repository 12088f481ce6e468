"""How many file descriptors this process has open."""

from pathlib import Path

OPEN_FILES = Path("/proc/self/fd")


def descriptors() -> int:
    """Return the number; 0 where the system does not tell."""
    return len(list(OPEN_FILES.iterdir())) if OPEN_FILES.is_dir() else 0
