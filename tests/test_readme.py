"""README keeps its order and its length, and its examples work.

Its programs run with the pages of the documentation, in docs/test_pages.py.
"""

import atexit
import re
import tomllib
from typing import Any

import pytest

from metrics.integrations import http
from metrics.lifecycle import MetricsContainer, Resource, State, running, state
from tests.docs.pages import DOCS, README, ROOT, block_with, run_block
from tests.docs.presence import present

MOST_LINES = 200


class Container(MetricsContainer):
    http = Resource(http.server, MetricsContainer.registry)


def test_the_example_of_flask_starts_the_container_with_the_first_request(monkeypatch):
    at_exit: list[Any] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    container = Container()
    app: Any = run_block(README, "app = Flask(", container=container)["app"]
    app.add_url_rule("/items/<number>", view_func=lambda number: number)
    assert state(container) is State.NEW
    client = app.test_client()
    client.get("/items/5")
    assert 'http_route="/items/<number>"' in client.get("/metrics").text
    for stop in at_exit:
        stop()
    assert state(container) is State.STOPPED


def test_the_example_of_celery_measures_tasks():
    started: list[str] = []
    names = run_block(
        README,
        "celery.attach(",
        MetricsContainer=MetricsContainer,
        Resource=Resource,
        connect=lambda: started.append("database"),
    )
    container: Any = names["worker"]
    assert state(container) is State.NEW
    with running(container):
        assert container.registry().get("celery_task_succeeded") is not None
    assert started == ["database"]


@present
def test_the_settings_of_django_are_those_of_the_guide():
    guide = block_with(DOCS / "guides/django.md", "METRICS_CONTAINER")
    settings = block_with(README, "METRICS_CONTAINER").splitlines()
    assert settings
    for line in settings:
        assert line.partition("  #")[0] in guide.splitlines()


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_it_answers_the_questions_of_a_reader_in_their_order():
    assert re.findall(r"^## (.+)$", README.read_text(), re.MULTILINE) == [
        "Installation",
        "An application",
        "Several processes",
        "What starts and stops when",
        "Testing",
        "Destinations",
        "Comparison",
        "Documentation",
        "Licence",
    ]


def test_the_command_of_the_tests_is_the_first_one_with_pytest():
    # .ci/run takes it from here: an installation, and the tests.
    command = next(line for line in README.read_text().splitlines() if "python -m pytest" in line)
    assert re.fullmatch(r"python3 -m venv \.venv && .+'\.\[test\]' && .+ -m pytest -n 4", command)


def test_the_name_of_the_distribution_is_that_of_the_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"pip install {project['name']}\n" in README.read_text()


@pytest.mark.parametrize(("cost", "text"), [("`counter.inc()`", "10.3 ns"), ("Page", "14.4 ms")])
@present
def test_the_figures_of_the_comparison_are_those_of_the_measurement(cost, text):
    row = next(line for line in README.read_text().splitlines() if line.startswith(f"| {cost}"))
    own, *peers = [cell.strip() for cell in row.strip("|").split("|")[1:5]]
    measured = [
        line
        for line in (DOCS / "performance.md").read_text().splitlines()
        if text in line and all(peer in line for peer in peers)
    ]
    assert measured
    assert float(own.split()[0]) == round(float(text.split()[0]))
