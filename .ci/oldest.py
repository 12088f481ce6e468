"""Print the oldest supported version of each requirement of the library and of its extras.

They are the lower bounds in `pyproject.toml`, which has no second list of them.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

OTHERS = {"benchmark", "docs", "test"}
"""Extras of the checkout, whose requirements are used in their newest versions."""


def lower_bounds(requirements: Iterable[str], own: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the lower bound of each requirement but the library's own extras.

    Raises:
        SystemExit: a requirement has no lower bound.
    """
    for requirement in requirements:
        found = re.match(r"([\w.-]+)(?:\[.*\])?\s*(?:>=\s*([\d.]+))?", requirement)
        if found is None or (found[1] != own and not found[2]):
            raise SystemExit(f"no lower bound in {requirement!r} of {PYPROJECT}: add '>=...'")
        if found[1] != own:
            yield found[1].lower(), found[2]


def numbers(version: str) -> tuple[int, ...]:
    """Return the order of a version."""
    return tuple(map(int, version.split(".")))


project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
required = [text for name in extras.keys() - OTHERS for text in extras[name]]
oldest: dict[str, str] = {}
for name, bound in lower_bounds([*project["dependencies"], *required], project["name"]):
    oldest[name] = min(bound, oldest.get(name, bound), key=numbers)
print(*[f"{name}=={bound}" for name, bound in sorted(oldest.items())], sep="\n")
