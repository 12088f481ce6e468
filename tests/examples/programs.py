"""Examples of the documentation, which tests run as they are."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"

present = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not installed")


def environment():
    """Return an environment in which programs of other folders import this library."""
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
