"""Times as formats write them that have neither: the time of a report, and a unit of durations."""

from metrics.instruments._inner import natural

END = 1 << 63

SECOND = 1_000_000_000

MILLISECOND = 1_000_000

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def checked_ns(timestamp_ns: object) -> int:
    """Return nanoseconds since 1970 as an exact int.

    Raises:
        TypeError: it is not an int.
        ValueError: it is negative or has more than 63 bits.
    """
    ns = natural("timestamp_ns", timestamp_ns)
    if ns >= END:
        raise ValueError(f"timestamp_ns takes nanoseconds since 1970, below 2**63, got {ns:#x}")
    return ns


def checked_seconds(timestamp_ns: object) -> int:
    """Return the whole seconds of nanoseconds since 1970; raise as `checked_ns` does."""
    return checked_ns(timestamp_ns) // SECOND


def per_second(duration_unit: str) -> int:
    """Return how many of a unit a second has.

    Raises:
        ValueError: the unit is none of `seconds`, `milliseconds`, `microseconds`, `nanoseconds`.
    """
    found = PER_SECOND.get(duration_unit)
    if found is None:
        raise ValueError(f"duration_unit is one of {', '.join(PER_SECOND)}; got {duration_unit!r}")
    return found
