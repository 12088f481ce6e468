"""The WSGI applications: alone, checked against PEP 3333, and in real servers."""

import gzip
import json
import threading
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.error import HTTPError
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from metrics import Registry
from metrics.integrations import asgi, wsgi
from tests.forks import DEADLINE, forking
from tests.integrations.asking import ask, ask_wsgi
from tests.lifecycle.served import NOTES, master
from tests.processes import until

PAGES = (
    "/",
    "/metrics",
    "/metrics/",
    "/metrics.json",
    "/healthz",
    "/debug/metrics",
    "/debug/metrics/prometheus",
    "/nothing",
    "/metrics?name[]=geth_hits_total",
    "/metrics?name[]=geth_nothing",
    "/metrics?" + "&".join(["a=b"] * 2000),
)


@pytest.fixture
def registry() -> Registry:
    registry = Registry("geth")
    registry.counter("hits").inc()
    registry.info("build").set({"version": "ü"})
    registry.healthcheck("db", lambda: None)
    return registry


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/openmetrics-text"])
def test_the_pages_are_those_of_asgi(path, method, accept, registry):
    for served, expected_app in (
        (wsgi.metrics(registry), asgi.metrics(registry)),
        # A live page would occupy a worker for each viewer.
        (wsgi.exposition(registry), asgi.exposition(registry, dashboard=False)),
    ):
        expected = ask(expected_app, path, method, accept=accept)
        assert ask_wsgi(served, path, method, accept=accept) == (
            expected.status,
            expected.headers,
            expected.text,
        )


def test_mounted_the_root_is_the_page_and_links_are_right(registry):
    app = wsgi.exposition(registry)

    def mounted(environ, start_response):
        environ["SCRIPT_NAME"] = "/metrics"
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/metrics")
        return app(environ, start_response)

    for path in ("/metrics", "/metrics/", "/metrics/metrics"):
        assert ask_wsgi(mounted, path).text.endswith("geth_hits_total 1\n")
    assert 'href="metrics/metrics.json"' in ask_wsgi(mounted, "/metrics", accept="text/html").text
    assert 'href="metrics.json"' in ask_wsgi(mounted, "/metrics/", accept="text/html").text


def test_paths_are_bytes_in_disguise(registry):
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/\u00c3\u00bc", "HTTP_ACCEPT": "text/html"}
    body = b"".join(wsgi.exposition(registry)(environ, lambda *_: None))
    assert b'href="%C3%BC/metrics"' in body


@pytest.fixture
def url(registry) -> Iterator[str]:
    class Handler(WSGIRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with make_server("127.0.0.1", 0, wsgi.exposition(registry), handler_class=Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(DEADLINE)


def test_wsgiref_serves_it(url):
    request = urllib.request.Request(f"{url}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.read()).endswith(b"geth_hits_total 1\n")
    with urllib.request.urlopen(f"{url}/healthz", timeout=DEADLINE) as answer:
        assert answer.read() == b"ok geth/db\n"


PROGRAM = """
import threading, time
from metrics import Gauge, resources
from metrics.integrations import wsgi
from metrics.lifecycle import MetricsContainer, Resource, running

hung = threading.Event()

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")
    dotted = Resource(resources.counter, registry, "a.b")
    slow = Resource(resources.gauge, registry, "slow", function=lambda: hung.wait(60) or 1)

container = Container()
application = wsgi.exposition(container)
endpoint = wsgi.metrics(container.registry)
"""

CONFIGURATION = """
def post_worker_init(worker):
    import program
    program.container.init_resources()
    program.container.hits().inc(7)
    program.note(started=True)

def worker_exit(server, worker):
    import program
    program.hung.set()
    program.container.shutdown_resources(timeout=10)
"""


def fetch(url: str, **headers: str) -> tuple[int, str]:
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


class TestGunicorn:
    pytestmark = forking

    @pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
    @pytest.mark.parametrize("preload", [[], ["--preload"]])
    def test_a_worker_serves_and_names_what_hangs(self, kind, preload, tmp_path):
        pytest.importorskip("gunicorn")
        (tmp_path / "program.py").write_text(NOTES + PROGRAM)
        (tmp_path / "gunicorn.conf.py").write_text(CONFIGURATION)
        command = ["gunicorn", "program:application", "-b", "127.0.0.1:0", "-k", kind, *preload]
        with master(tmp_path, *command) as server:
            server.wait_for("started", 1)
            port = until(lambda: port_of(server.log), "the port", DEADLINE)
            url = f"http://127.0.0.1:{port}"
            limit = {"X-Prometheus-Scrape-Timeout-Seconds": "0.1"}
            # A busy machine has not reached the gauge at the first time.
            until(
                lambda: "Gauge 'slow'" in fetch(f"{url}/metrics", **limit)[1],
                "an answer that names the gauge",
                DEADLINE,
            )
            for _ in range(3):
                assert fetch(f"{url}/metrics", **limit)[0] == 503
            assert fetch(f"{url}/healthz") == (200, "ok\n")
            status, text = fetch(f"{url}/metrics?name[]=hits_total")
            assert (status, text.splitlines()[-1]) == (200, "hits_total 7")
            assert server.log.count("Gauge 'slow' hangs") == 1
            connection = HTTPConnection("127.0.0.1", int(port), timeout=DEADLINE)
            connection.request("HEAD", "/metrics.json")
            assert connection.getresponse().read() == b""
            connection.close()

    @pytest.mark.parametrize("preload", [[], ["--preload"]])
    def test_gevent_serves_the_endpoint_at_any_path(self, preload, tmp_path):
        pytest.importorskip("gunicorn")
        (tmp_path / "program.py").write_text(NOTES + PROGRAM)
        (tmp_path / "gunicorn.conf.py").write_text(CONFIGURATION)
        command = ["gunicorn", "program:endpoint", "-b", "127.0.0.1:0", "-k", "gevent", *preload]
        with master(tmp_path, *command) as server:
            server.wait_for("started", 1)
            port = until(lambda: port_of(server.log), "the port", DEADLINE)
            for path in ("/metrics", "/metrics/", "/"):
                status, text = fetch(f"http://127.0.0.1:{port}{path}?name[]=hits_total")
                assert (status, text.splitlines()[-1]) == (200, "hits_total 7")
            utf8 = "text/plain;version=1.0.0;escaping=allow-utf-8"
            status, text = fetch(f"http://127.0.0.1:{port}/?name[]=a.b_total", Accept=utf8)
            assert (status, text.splitlines()[-1]) == (200, '{"a.b_total"} 0')


def port_of(log: str) -> str:
    return log.rpartition("Listening at: http://127.0.0.1:")[2].partition(" ")[0]


def test_json_is_whole(registry):
    assert json.loads(ask_wsgi(wsgi.exposition(registry), "/metrics.json").text)["geth/hits"]


@pytest.mark.parametrize("accept", ["*/*", "application/openmetrics-text"])
def test_pages_have_the_target_and_times_of_creation_on_request(accept, registry):
    options = {"target": {"version": "1.2"}, "created": True}
    for create in ("metrics", "exposition"):
        page = ask_wsgi(getattr(wsgi, create)(registry, **options), "/metrics", accept=accept)
        assert 'target_info{version="1.2"} 1\n' in page.text
        assert ("geth_hits_created" in page.text) == accept.startswith("application")
        assert page == ask(getattr(asgi, create)(registry, **options), "/metrics", accept=accept)
        plain = ask_wsgi(getattr(wsgi, create)(registry), "/metrics", accept=accept)
        assert "target" not in plain.text
        assert "_created" not in plain.text


@pytest.mark.parametrize("module", [asgi, wsgi])
@pytest.mark.parametrize("create", ["metrics", "exposition"])
@pytest.mark.parametrize(
    "options", [{"target": {"a-b": "x"}}, {"target": {"a": 1}}, {"created": 2}]
)
def test_a_wrong_target_or_switch_is_an_error_at_the_start(module, create, options, registry):
    with pytest.raises((TypeError, ValueError), match=r"a-b|target|label|created"):
        getattr(module, create)(registry, **options)


@pytest.mark.parametrize("media_type", ["text/plain", "application/openmetrics-text"])
def test_an_endpoint_may_decide_on_the_escaping_of_names(media_type, registry):
    accept = f"{media_type};version=1.0.0;escaping=allow-utf-8"
    registry.counter("rpc/requests").inc()
    for create in ("metrics", "exposition"):
        app = getattr(wsgi, create)(registry, escaping="underscores")
        page = ask_wsgi(app, "/metrics", accept=accept)
        assert page.headers["Content-Type"].endswith("; escaping=underscores")
        assert "geth_rpc_requests_total 1\n" in page.text
        assert page == ask(
            getattr(asgi, create)(registry, escaping="underscores"), "/metrics", accept=accept
        )
        requested = ask_wsgi(getattr(wsgi, create)(registry), "/metrics", accept=accept)
        assert '{"geth/rpc/requests_total"} 1\n' in requested.text
        # A scraper that knows no schemes gets the names that it knows.
        pinned = getattr(wsgi, create)(registry, escaping="allow-utf-8")
        assert (
            "geth_rpc_requests_total 1\n" in ask_wsgi(pinned, "/metrics", accept="text/plain").text
        )


def test_an_unknown_escaping_is_an_error_at_the_start(registry):
    for create in (asgi.metrics, asgi.exposition, wsgi.metrics, wsgi.exposition):
        with pytest.raises(ValueError, match="unknown escaping 'utf-8': use one of"):
            create(registry, escaping="utf-8")
