"""What the README shows works as it stands there."""

import asyncio
import atexit
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import httpx
import pytest
from dependency_injector.wiring import Closing, Provide, inject

import metrics.testing
from metrics import Registry
from metrics.exporters import openmetrics, prometheus
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    Resource,
    State,
    check,
    graph,
    running,
    state,
    survives_fork,
)
from tests.forks import in_child

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
URL = "http://127.0.0.1"
README = Path(__file__).parents[1] / "README.md"


def block_with(text: str) -> str:
    [found] = [block for block in BLOCK.findall(README.read_text()) if text in block]
    return found


def run_block(text: str, **names: object) -> dict[str, object]:
    """Run the block that has a text, with names that it uses; return the names afterwards."""
    namespace = {"__name__": "example", **names}
    exec(compile(block_with(text), README, "exec"), namespace)
    return namespace


def text_after(text: str) -> str:
    """Return the text block that follows the Python block with a text: its output."""
    [found] = re.findall(
        re.escape(block_with(text)) + r"```\n\n```text\n(.*?)^```$",
        README.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return found


def comments_in(block: str) -> str:
    return "".join(f"{line[2:]}\n" for line in block.splitlines() if line.startswith("# "))


def test_the_example_of_a_program_runs(capsys):
    run_block("# starts ticker, registry, requests")
    assert "{'rpc/requests': {'count': 1, '1m.rate': 0.0" in capsys.readouterr().out


def test_the_example_of_a_test_is_that_of_the_test_kit():
    assert indent(block_with("def test_requests"), "    ") in metrics.testing.__doc__


def test_the_examples_of_tests_pass(pytester: pytest.Pytester):
    pytester.makepyfile(block_with("def test_requests") + block_with("def test_the_container"))
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=2)


def test_the_example_of_fastapi_measures_requests():
    names = run_block("app = FastAPI(")
    app: Any = names["app"]
    app.get("/items/{number}")(lambda number: number)
    assert state(names["container"]) is State.NEW

    async def page_after_a_request() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
            await client.get("/items/5")
            return (await client.get("/metrics")).text

    with running(names["container"]):
        page = asyncio.run(page_after_a_request())
    assert 'http_route="/items/{number}",http_response_status_code="200"' in page
    assert "/metrics" not in page
    assert state(names["container"]) is State.STOPPED


def test_the_example_of_flask_starts_the_container_with_the_first_request(monkeypatch):
    at_exit: list[Any] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    container = run_block("app = FastAPI(")["container"]
    app: Any = run_block("app = Flask(", container=container)["app"]
    app.add_url_rule("/items/<number>", view_func=lambda number: number)
    assert state(container) is State.NEW
    client = app.test_client()
    client.get("/items/5")
    assert 'http_route="/items/<number>"' in client.get("/metrics").text
    for stop in at_exit:
        stop()
    assert state(container) is State.STOPPED


def test_the_example_of_django_measures_requests(tmp_path):
    settings, urls = block_with("METRICS_CONTAINER =").split("# urls.py\n")
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "containers.py").write_text(block_with("app = FastAPI("))
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


def test_the_example_of_celery_measures_tasks(monkeypatch):
    started: list[str] = []
    names = run_block(
        "celery.attach(app",
        MetricsContainer=MetricsContainer,
        Resource=Resource,
        connect=lambda: started.append("database"),
    )
    app: Any = names["app"]
    container: Any = names["container"]
    app.conf.update(broker_url="memory://", task_always_eager=True)

    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    assert state(container) is State.NEW
    with running(container):
        assert double.delay(4).result == 8
        succeeded = container.registry().get("celery_task_succeeded")
        assert succeeded.labels("double").count == 1
    assert started == ["database"]


def test_the_example_of_several_processes_declares_a_group():
    container = run_block("app = FastAPI(")["Container"]
    shared: Any = run_block("processes.share", Container=container, Resource=Resource)
    with running(shared["SharedContainer"]()) as own:
        assert own.registry().get("processes/workers").value == 1


def test_the_example_of_a_block_runs_and_stops_a_container():
    container = run_block("# starts ticker, registry, requests")["container"]
    seen: list[State] = []
    run_block(
        "serve_forever",
        running=running,
        container=container,
        serve_forever=lambda: seen.append(state(container)),
    )
    assert seen == [State.RUNNING]
    assert state(container) is State.STOPPED


def test_the_example_of_a_graph_prints_what_its_comments_show(capsys):
    container = run_block("# starts ticker, registry, requests")["container"]
    capsys.readouterr()
    with running(container):
        run_block("print(graph(container))", graph=graph, container=container)
    assert (
        capsys.readouterr().out.rstrip()
        == comments_in(block_with("print(graph(container))")).rstrip()
    )


def test_the_example_of_closing_has_a_new_session_for_each_call():
    calls: list[str] = []

    class Session:
        def execute(self, statement: str) -> None:
            calls.append(statement)

    def sessions():
        calls.append("start")
        yield Session()
        calls.append("stop")

    class Container(LifecycleContainer):
        session = Resource(sessions)

    names = {"Closing": Closing, "Provide": Provide, "inject": inject}
    module = type(sys)("example")
    vars(module).update(run_block("Closing[", Session=Session, Container=Container, **names))
    container = Container()
    container.wire(modules=[module])
    try:
        with running(container):
            module.handle()
            module.handle()
            assert state(container) is State.RUNNING
        assert calls == 2 * ["start", "...", "stop"]
    finally:
        container.unwire()


def test_the_example_of_instruments_times_calls_and_counts_failures(capsys):
    async def get(url: str) -> None:
        assert names["busy"].value == 1
        if url == "bad":
            raise OSError

    names = run_block("@busy.track_inprogress()", get=get)
    asyncio.run(names["fetch"]("good"))
    with pytest.raises(OSError):
        asyncio.run(names["fetch"]("bad"))
    assert re.fullmatch(r"good took \d+\.\d{3} s\n", capsys.readouterr().out)
    assert names["busy"].value == 0
    assert names["failures"].count == 1
    assert names["calls"].labels("fetch").count == 2
    assert names["registry"].names() == ("shop/rpc/busy", "shop/rpc/calls", "shop/rpc/failures")


def test_the_example_of_a_page_prints_the_page_below_it(capsys):
    run_block("prometheus.render(registry)")
    assert capsys.readouterr().out == text_after("prometheus.render(registry)") + "\n"


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
def test_the_example_of_a_configuration_is_one(monkeypatch, variable, enabled):
    if variable is not None:
        monkeypatch.setenv("SHOP_METRICS", variable)
    container = MetricsContainer()
    run_block('from_env("SHOP_METRICS")', container=container)
    assert not check(container)
    with running(container):
        registry = container.registry()
        assert registry.enabled is enabled
        assert registry.prefix == "shop/"
        assert dict(registry.labels) == {"zone": "eu", "host": "a"}
        assert container.ticker().interval == 2.0


def test_the_example_of_a_reporter_needs_only_its_options():
    names = run_block("influxdb.v2", MetricsContainer=MetricsContainer, Resource=Resource)
    container = names["Container"]()
    container.config.from_dict({"influx": {"url": "http://127.0.0.1:9", "token": "t"}})
    assert not check(container)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_example_of_a_hook_that_survives_a_fork_is_empty_in_the_child():
    hook = run_block("survives_fork", survives_fork=survives_fork)["cache"]

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
    (tmp_path / "gunicorn.conf.py").write_text(block_with("def post_fork"))
    command = [sys.executable, "-m", "gunicorn", "--print-config", "program:application"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    for hook in ("post_fork", "worker_exit"):
        assert re.search(rf"^{hook}\s+= <{hook}\(\)>", done.stdout, re.MULTILINE), hook
