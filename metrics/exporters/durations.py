"""The unit in which a format that says none writes what timers measured."""

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def per_second(duration_unit: str) -> int:
    """Return how many of a unit a second has.

    Raises:
        ValueError: the unit is none of `seconds`, `milliseconds`, `microseconds`, `nanoseconds`.
    """
    found = PER_SECOND.get(duration_unit)
    if found is None:
        raise ValueError(f"duration_unit is one of {', '.join(PER_SECOND)}; got {duration_unit!r}")
    return found
