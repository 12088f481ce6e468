"""Durations as people type them: `500ms`, `5s`, `1m30s`, `2h`, or a plain number of seconds."""

import re
from math import isfinite

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
NUMBER = r"\d+(?:\.\d+)?"
TERM = f"({NUMBER})(ms|s|m|h|d)"


def seconds(text: object) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: `text` is not a duration, or not a positive one.
    """
    duration = 0.0
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        duration = float(text)
    elif isinstance(text, str):
        typed = text.strip()
        if re.fullmatch(NUMBER, typed):
            duration = float(typed)
        elif re.fullmatch(f"({TERM})+", typed):
            duration = sum(float(number) * UNITS[unit] for number, unit in re.findall(TERM, typed))
    if not (isfinite(duration) and duration > 0.0):
        raise ValueError(f"{text!r} is not a duration above 0, such as 500ms, 5s, 1m30s or 2h")
    return duration
