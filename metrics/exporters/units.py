"""Base units: what Prometheus and OpenMetrics want values to be measured in."""

BASE_UNITS = {
    "percent": ("ratio", 0.01),
    "nanoseconds": ("seconds", 1e-9),
    "microseconds": ("seconds", 1e-6),
    "milliseconds": ("seconds", 1e-3),
    "minutes": ("seconds", 60.0),
    "hours": ("seconds", 3600.0),
    "days": ("seconds", 86400.0),
    "bits": ("bytes", 0.125),
    "kilobytes": ("bytes", 1e3),
    "megabytes": ("bytes", 1e6),
    "gigabytes": ("bytes", 1e9),
    "kibibytes": ("bytes", 2.0**10),
    "mebibytes": ("bytes", 2.0**20),
    "gibibytes": ("bytes", 2.0**30),
}


def base_unit(unit: str) -> tuple[str, float]:
    """Return the base unit to report in, and what to multiply values by."""
    return BASE_UNITS.get(unit, (unit, 1.0))
