"""Whether the library knows in which form it runs, and tells of compiled code that is stale."""

import os
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pytest

import metrics
from metrics._compiled import is_compiled
from metrics.instruments import _counter, _timer

SUFFIX = EXTENSION_SUFFIXES[0]
EARLIER, LATER = 1_000_000_000, 1_000_000_060


@pytest.fixture
def package(tmp_path):
    """Return a folder like that of the instruments: two modules, compiled after they were saved."""
    folder = tmp_path / "metrics" / "instruments"
    folder.mkdir(parents=True)
    for name in ("counter", "gauge"):
        written(folder / f"{name}.py", EARLIER)
        written(folder / f"{name}{SUFFIX}", LATER)
    written(folder / "noop.py", LATER)
    return folder


@pytest.fixture
def checkout(package):
    """Return the same folder where the project's own files are beside the package."""
    (package.parents[1] / "pyproject.toml").touch()
    return package


def written(path: Path, time: int) -> None:
    path.touch()
    os.utime(path, (time, time))


def loaded(path: Path) -> ModuleType:
    module = ModuleType(path.name.partition(".")[0])
    module.__file__ = str(path)
    return module


def test_the_library_says_in_which_form_it_runs():
    assert metrics.COMPILED is not _counter.__file__.endswith(".py")
    assert is_compiled(_timer) is metrics.COMPILED


def test_a_module_that_is_run_from_its_source_is_interpreted(checkout):
    assert not is_compiled(loaded(checkout / "counter.py"))


def test_a_module_that_comes_from_no_file_is_interpreted():
    module = ModuleType("counter")
    module.__file__ = None
    assert not is_compiled(module)


def test_a_module_that_was_compiled_after_it_was_saved_is_nothing_to_warn_of(checkout):
    assert is_compiled(loaded(checkout / f"counter{SUFFIX}"))


def test_a_module_that_was_edited_since_it_was_compiled_is_named_in_a_warning(checkout):
    written(checkout / "gauge.py", LATER + 1)
    with pytest.warns(RuntimeWarning, match=r"compiled gauge in .* older than their source"):
        assert is_compiled(loaded(checkout / f"counter{SUFFIX}"))


def test_every_module_that_was_edited_is_named(checkout):
    written(checkout / "gauge.py", LATER + 1)
    written(checkout / "counter.py", LATER + 1)
    with pytest.warns(RuntimeWarning, match="compiled counter, gauge in"):
        is_compiled(loaded(checkout / f"counter{SUFFIX}"))


def test_the_warning_points_at_who_asked(checkout):
    written(checkout / "gauge.py", LATER + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_compiled(loaded(checkout / f"counter{SUFFIX}"))
    assert [warning.filename for warning in caught] == [__file__]


def test_an_installed_package_is_not_looked_at(package):
    written(package / "counter.py", LATER + 1)
    assert is_compiled(loaded(package / f"counter{SUFFIX}"))


def test_other_files_beside_the_modules_are_left_alone(checkout):
    written(checkout / "counter.txt", LATER + 1)
    written(checkout / "counter.py.orig", LATER + 1)
    (checkout / "__pycache__").mkdir()
    assert is_compiled(loaded(checkout / f"counter{SUFFIX}"))
