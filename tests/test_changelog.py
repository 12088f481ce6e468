"""CHANGELOG.md keeps the format of Keep a Changelog 1.1, by version, kind and area."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CHANGELOG = ROOT / "CHANGELOG.md"

pytestmark = pytest.mark.skipif(not CHANGELOG.exists(), reason="the changelog is not installed")

KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]

AREAS = [
    "Instruments",
    "Registry",
    "Lifecycle",
    "Formats and endpoints",
    "Reporters",
    "Integrations",
    "Test kit",
    "Live page",
    "Agent",
    "Documentation",
    "Build",
]

RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d{2}-\d{2}")

MOST_SENTENCES = 2


def headings(level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", CHANGELOG.read_text(), re.MULTILINE)


def sections() -> list[tuple[str, str, list[str]]]:
    """Return the version, the kind and the entries of each section, each entry in one line."""
    found = []
    for release in CHANGELOG.read_text().split("\n## ")[1:]:
        version, *kinds = release.split("\n### ")
        for section in kinds:
            kind, _, body = section.partition("\n\n")
            entries = [" ".join(entry.split()) for entry in ("\n" + body).split("\n- ")[1:]]
            assert len(entries) == body.count("\n- ") + 1, f"{kind} has other text than entries"
            found.append((version.strip(), kind, entries))
    return found


def entries() -> list[str]:
    return [entry for _, _, entries in sections() for entry in entries]


def test_versions_are_in_order_and_the_first_is_unreleased():
    first, *releases = headings(2)
    assert first == "[Unreleased]"
    found = [RELEASE.fullmatch(release) for release in releases]
    assert all(found)
    numbers = [tuple(map(int, match.groups())) for match in found if match]
    assert all(newer > older for newer, older in pairwise(numbers))


def test_the_newest_release_is_the_version_of_the_project():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    releases = headings(2)[1:]
    assert not releases or releases[0].startswith(f"[{version}] ")


def test_headings_are_the_six_kinds_in_their_order():
    assert headings(1) == ["Changelog"]
    assert headings(4) == []
    by_version: dict[str, list[str]] = {}
    for version, kind, _ in sections():
        by_version.setdefault(version, []).append(kind)
    for kinds in by_version.values():
        assert kinds == [kind for kind in KINDS if kind in kinds]


def test_entries_are_in_the_order_of_their_areas():
    for version, kind, found in sections():
        areas = [entry.partition(": ")[0] for entry in found]
        assert set(areas) <= {*AREAS}, (version, kind)
        assert areas == sorted(areas, key=AREAS.index), (version, kind)


@pytest.mark.parametrize("entry", entries() if CHANGELOG.exists() else [])
def test_an_entry_is_one_change_in_one_or_two_sentences(entry: str):
    text = entry.partition(": ")[2]
    assert re.match(r"[A-Z`]", text)
    assert text.endswith(".")
    prose = re.sub(r"`[^`]*`", "`code`", text)
    assert len(re.findall(r"\.(?= [A-Z`]|$)", prose)) <= MOST_SENTENCES


def test_no_two_entries_are_alike():
    found = entries()
    assert len(found) == len(set(found)) > 0
