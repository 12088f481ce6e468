"""Examples of the guides that need a project, a server or a fork around them."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

import metrics
import metrics.lifecycle
import metrics.testing
from metrics import Registry, reporters
from metrics.exporters import openmetrics, prometheus
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    Resource,
    State,
    check,
    running,
    state,
)
from tests.docs.pages import DOCS, ROOT, block_with, blocks_of, regions_of, run_block
from tests.docs.presence import present
from tests.forks import in_child

pytestmark = present

GUIDES = DOCS / "guides"


def test_the_example_of_a_test_is_that_of_the_test_kit():
    example = block_with(GUIDES / "testing.md", "def test_requests")
    assert indent(example, "    ") in metrics.testing.__doc__


def test_the_example_of_django_measures_requests(tmp_path):
    settings, urls = block_with(GUIDES / "django.md", "METRICS_CONTAINER =").split(
        "# shop/urls.py\n"
    )
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "containers.py").write_text(block_with(GUIDES / "django.md", "# shop/containers.py"))
    (shop / "settings.py").write_text(
        f"ROOT_URLCONF = 'shop.urls'\nALLOWED_HOSTS = ['*']\n{settings}"
    )
    (shop / "urls.py").write_text(urls)
    program = """
import django
from django.test import Client
django.setup()
from metrics.lifecycle import state
from shop.containers import container
print(state(container))
Client().get("/items/5")
print(Client().get("/metrics").content.decode())
"""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not ended.returncode, ended.stderr
    assert ended.stdout.startswith("NEW\n")
    assert 'http_route="",http_response_status_code="404"' in ended.stdout


@pytest.mark.parametrize(
    ("names", "second"),
    [(("a.b", "a/b"), "a_b_2"), (("größe", "gr/f6//df/e"), "gr_f6__df_e_2")],
)
def test_names_that_clash_on_a_page_are_renamed_as_described(names, second):
    registry = Registry()
    for name in names:
        registry.gauge(name)
    page = prometheus.render(registry).decode()
    assert f"{second} 0.0\n" in page


def test_an_info_beside_a_gauge_is_renamed_in_openmetrics_alone():
    registry = Registry()
    registry.gauge("gauge")
    registry.info("gauge_info").set({"version": "1.2"})
    sample = '{version="1.2"} 1\n'
    assert f"gauge_info{sample}" in prometheus.render(registry).decode()
    assert f"gauge_2_info{sample}" in openmetrics.render(registry).decode()


@pytest.mark.parametrize(
    ("variable", "enabled"), [("false", False), ("on", True), ("", True), (None, True)]
)
def test_the_example_of_a_configuration_takes_a_switch_from_the_environment(
    monkeypatch, variable, enabled
):
    if variable is not None:
        monkeypatch.setenv("SHOP_METRICS", variable)
    page = GUIDES / "instruments.md"
    container: Any = run_block(page, 'from_env("SHOP_METRICS")', Container=MetricsContainer)[
        "container"
    ]
    assert not check(container)
    with running(container):
        assert container.registry().enabled is enabled


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_example_of_a_hook_that_survives_a_fork_is_empty_in_the_child():
    hook = run_block(GUIDES / "fork.md", "@survives_fork")["cache"]

    class Container(LifecycleContainer):
        cache = Resource(hook)

    container = Container()

    def child() -> tuple[State, State, bool, dict[str, str]]:
        before = state(container, "cache")
        return state(container), before, container.cache() is cache, cache

    with running(container):
        cache = container.cache()
        cache["name"] = "value"
        assert in_child(child) == (State.NEW, State.RUNNING, True, {})
        assert cache == {"name": "value"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_example_of_gunicorn_is_a_configuration_of_gunicorn(tmp_path: Path):
    (tmp_path / "program.py").write_text("container = None\napplication = print\n")
    (tmp_path / "gunicorn.conf.py").write_text(block_with(GUIDES / "fork.md", "def post_fork"))
    command = [sys.executable, "-m", "gunicorn", "--print-config", "program:application"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    for hook in ("post_fork", "worker_exit"):
        assert re.search(rf"^{hook}\s+= <{hook}\(\)>", done.stdout, re.MULTILINE), hook


def hooks_of_reporters() -> set[str]:
    """Return the hooks of all destinations, such as `influxdb.v2`."""
    modules = [
        importlib.import_module(f"metrics.reporters.{module.name}")
        for module in pkgutil.iter_modules(reporters.__path__)
        if not module.name.startswith("_")
    ]
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, member in inspect.getmembers(module, inspect.isfunction)
        if member.__module__ == module.__name__ and hasattr(member, "__signature__")
    }


def test_the_guide_of_reporters_has_every_hook():
    regions = {name for name, _ in regions_of(GUIDES / "reporters.md")}
    assert {f"options {hook}" for hook in hooks_of_reporters()} <= regions


def test_the_examples_of_reporters_fit_their_hooks():
    examples = [
        block.text
        for block in blocks_of(GUIDES / "reporters.md")
        if block.text.startswith("report = Resource(")
    ]
    assert len(examples) > 8
    names: dict[str, Any] = {"Resource": Resource, "registry": MetricsContainer.registry}
    for name in (hook.partition(".")[0] for hook in hooks_of_reporters()):
        names[name] = importlib.import_module(f"metrics.reporters.{name}")
    for example in examples:
        namespace = dict(names)
        exec(example, namespace)
        container = type("Example", (MetricsContainer,), {"report": namespace["report"]})()
        assert not check(container), example


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("instruments", metrics),
        ("lifecycle", metrics.lifecycle),
        ("testing", metrics.testing),
    ],
)
def test_the_reference_has_every_public_name(page: str, module: Any):
    text = "".join(each.read_text() for each in (DOCS / "reference").glob("*.md"))
    listed = set(re.findall(r"^::: metrics\.(?:\w+\.)*(\w+)$", text, re.MULTILINE))
    assert set(module.__all__) - {"COMPILED"} <= listed, page


@pytest.mark.parametrize("package", ["exporters", "reporters", "integrations"])
def test_the_reference_has_every_public_module(package: str):
    modules = pkgutil.iter_modules(importlib.import_module(f"metrics.{package}").__path__)
    text = (DOCS / f"reference/{package}.md").read_text()
    for module in modules:
        if not module.name.startswith("_"):
            assert f"::: metrics.{package}.{module.name}\n" in text


@pytest.mark.parametrize("image", ["states", "graph"])
def test_an_image_is_well_formed_and_needs_no_other_file(image: str):
    text = (DOCS / f"images/{image}.svg").read_text()
    assert not re.search(r'(?:href|src)="|@import|url\((?!#)', text)


def test_the_image_of_states_has_every_state():
    text = (DOCS / "images/states.svg").read_text()
    assert set(re.findall(r">([A-Z]{3,})<", text)) == {each.name for each in State}


def test_the_site_requests_nothing_of_other_hosts():
    configuration = (ROOT / "mkdocs.yml").read_text()
    assert "  font: false" in configuration
    assert not re.search(r"https?://|analytics|extra_javascript|extra_css", configuration)
    # The theme loads the scripts of Mermaid's diagrams from another host.
    assert not any("```mermaid" in page.read_text() for page in DOCS.rglob("*.md"))
