"""Entry point of the pytest plugin, with a name that no project has.

pytest aborts when an entry point cannot be imported, and a project may have a `metrics` of its own:
`python -m pytest` puts the project's folder before the installed packages.
"""

from importlib.util import find_spec
from pathlib import Path


def disabled_reason() -> str:
    """Return why the plugin cannot be loaded, or an empty string."""
    try:
        # This does not import the project's package, which would be too early for its coverage.
        spec = find_spec("metrics")
    except ValueError:
        return "another 'metrics' is imported already"
    if spec is None:
        return "there is no package 'metrics' on the import path"
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any((folder / "testing" / "leaks" / "_check.py").is_file() for folder in folders):
        return ""
    taken = spec.origin or ", ".join(map(str, folders))
    return f"the name 'metrics' belongs to {taken}"


DISABLED = disabled_reason()

pytest_plugins = [] if DISABLED else ["metrics.testing.plugin"]


def pytest_report_header() -> list[str]:
    """Report in one line why the plugin is disabled."""
    return [f"wired-metrics: pytest plugin disabled, {DISABLED}"] if DISABLED else []
