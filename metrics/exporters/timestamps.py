"""The time of a report, which is told to the exporter and never asked for."""

from metrics.instruments.arguments import natural

END = 1 << 63

SECOND = 1_000_000_000


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
