"""Halves of the pytest plugin: the leak check of a run, its report, and the fixtures.

`metrics.testing.plugin` registers them. It is loaded in every run of pytest, and loads
`leak_check`, `phases`, `session` and `summary` when a run needs them. It must not import
`fixtures`, which pytest has to import itself: it warns of plugins that were imported before.
"""

import pytest

FAIL, WARN = "fail", "warn"
"""Modes of the leak check: a leak fails its test, or is reported as a warning."""


def has_fixture(item: pytest.Item) -> bool:
    """Return whether a test has the fixture of the check as an argument."""
    return "leaks" in getattr(item, "fixturenames", ())
