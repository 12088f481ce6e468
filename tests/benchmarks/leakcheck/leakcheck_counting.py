"""Plugin of pytest that counts the tests and reports of a run, in the process of the suite.

The counts are written as JSON to the file that the variable `LEAKCHECK_COUNTS` names.
`LEAKCHECK_MARKER` names a marker for the tests, which switches pyleak on.
"""

import json
import os
from pathlib import Path

import pytest

TESTS: set[str] = set()
FAILED: set[str] = set()
LEAKS: list[tuple[str, str]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test, but no method of a class, which pyleak would call without its object."""
    if marker := os.environ.get("LEAKCHECK_MARKER"):
        for item in items:
            if getattr(item, "cls", None) is None:
                item.add_marker(marker)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a report, and keep the leaks that it names."""
    TESTS.add(report.nodeid)
    if report.failed:
        FAILED.add(report.nodeid)
    LEAKS.extend(getattr(report, "leaks", ()))


def pytest_sessionfinish() -> None:
    """Write the counts."""
    counts = {"tests": sorted(TESTS), "failed": sorted(FAILED), "leaks": LEAKS}
    Path(os.environ["LEAKCHECK_COUNTS"]).write_text(json.dumps(counts), "utf-8")
