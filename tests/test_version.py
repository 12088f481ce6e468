"""The version is in pyproject.toml alone; all other places read it from the package metadata."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import metrics
from metrics._version import library_version

ROOT = Path(__file__).parents[1]

SOURCES = [
    path
    for name in ("metrics", "app", "container.py", "pytest_wired_metrics.py", "setup.py")
    for path in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")))
    if path.exists()
]

PAGES = [path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if path.exists()]


@pytest.fixture
def uncached():
    library_version.cache_clear()
    yield
    library_version.cache_clear()


def test_no_module_and_no_page_has_a_version_of_its_own():
    version = re.escape(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    copy = re.compile(
        rf"__version__\s*=|version\w*(?::[^=\n]+)?\s*=\s*[\"']{version}[\"']"
        rf"|wired[-_]metrics\W{{0,5}}(?:version\W+)?v?{version}",
        re.IGNORECASE,
    )
    assert copy.search(f'VERSION: Final = "{version}"'.replace("\\", ""))
    assert [path for path in [*SOURCES, *PAGES] if copy.search(path.read_text())] == []


def test_the_version_is_that_of_the_metadata(monkeypatch, uncached):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 7.8.9")
    assert library_version() == "wired-metrics 7.8.9"


def test_a_library_that_is_not_installed_has_no_version(monkeypatch, uncached):
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert library_version() == ""


def test_the_package_has_no_second_attribute_for_it():
    assert not hasattr(metrics, "__version__")
