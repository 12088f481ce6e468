"""The pages of a registry, asked for over real sockets."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import quote

import pytest

from metrics import Registry
from metrics.integrations.asgi import exposition
from metrics.integrations.uvicorn import serve

PATIENCE = 10.0

PAGES = ("/metrics", "/metrics.json", "/healthz", "/debug/metrics", "/debug/metrics/prometheus")


@pytest.fixture
def registry() -> Registry:
    return Registry("geth")


@pytest.fixture
def health_timeout() -> float:
    return PATIENCE


@pytest.fixture
def dashboard() -> bool:
    return True


@pytest.fixture
def ask(registry, health_timeout, dashboard) -> Iterator:
    pages = exposition(registry, title="<geth>", health_timeout=health_timeout, dashboard=dashboard)
    with serve(pages, port=0) as address:

        def request(path: str, method: str = "GET", **fields: str) -> tuple[HTTPResponse, str]:
            connection = HTTPConnection(address.host, address.port, timeout=PATIENCE)
            headers = {name.replace("_", "-"): value for name, value in fields.items()}
            try:
                connection.request(method, path, headers=headers)
                response = connection.getresponse()
                body = response.read()
                if response.headers["Content-Encoding"] == "gzip" and body:
                    body = gzip.decompress(body)
                return response, body.decode()
            finally:
                connection.close()

        yield request


def test_metrics_are_in_prometheus_text(registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert text.endswith("\ngeth_requests_total 2\n")


OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;version=99.0.0", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_metrics_are_in_the_format_that_is_asked_for(accept, content_type, registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask("/metrics", Accept=accept)
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert ("# EOF" in text) is (content_type == OPENMETRICS)
    head, body = ask("/metrics", "HEAD", Accept=accept)
    assert (head.headers["Content-Type"], body) == (content_type, "")
    assert head.headers["Content-Length"] is None


@pytest.mark.parametrize("media_type", ["text/plain", "application/openmetrics-text"])
@pytest.mark.parametrize(
    ("escaping", "name", "line"),
    [
        ("underscores", "geth_a_b_total", "geth_a_b_total 2"),
        ("allow-utf-8", "geth/a.b_total", '{"geth/a.b_total"} 2'),
        ("dots", "geth__a_dot_b__total", "geth__a_dot_b__total 2"),
        ("values", "U__geth_2f_a_2e_b__total", "U__geth_2f_a_2e_b__total 2"),
    ],
)
def test_names_are_in_the_scheme_that_is_requested(media_type, escaping, name, line, registry, ask):
    registry.counter("a.b").inc(2)
    registry.counter("other").inc()
    accept = f"{media_type};version=1.0.0;escaping={escaping};q=0.6,*/*;q=0.2"
    response, text = ask("/metrics", Accept=accept)
    expected = f"{media_type}; version=1.0.0; charset=utf-8; escaping={escaping}"
    assert response.headers["Content-Type"] == expected
    assert line in text.splitlines()
    # Names in the query are those of the page.
    _, only = ask(f"/metrics?name[]={quote(name)}", Accept=accept)
    assert [one for one in only.splitlines() if one[0] != "#"] == [line]
    # go-ethereum's page has no other names.
    assert "geth_a_b 2" in ask("/debug/metrics/prometheus", Accept=accept)[1]


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/healthz"])
def test_pages_are_compressed_for_who_accepts_that(path, registry, ask):
    registry.counter("requests").inc(2)
    plain, text = ask(path)
    assert plain.headers["Content-Encoding"] is None
    assert "Accept-Encoding" in plain.headers["Vary"]
    packed, same = ask(path, Accept_Encoding="deflate, gzip;q=0.5")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert same == text
    assert "requests" in text


def test_only_the_names_that_are_asked_for_are_read(registry, ask):
    registry.counter("requests").inc(2)
    registry.gauge("size").set(1)
    registry.resetting_timer("pause").update(1.0)
    _, text = ask("/metrics?name[]=geth_requests_total&name%5B%5D=geth_size")
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        "geth_requests_total 2",
        "geth_size 1.0",
    ]
    assert ask("/metrics?name[]=nothing")[1] == ""
    assert 'quantile="0.5"} 1.0' in ask("/metrics")[1]


def test_go_ethereums_page_is_where_it_has_it(registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask("/debug/metrics/prometheus")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert text == "# TYPE geth_requests gauge\ngeth_requests 2\n\n"


def test_a_page_is_made_beside_the_event_loop(registry, ask):
    reading, release = threading.Event(), threading.Event()

    def slow() -> float:
        reading.set()
        release.wait(PATIENCE)
        return 1.0

    registry.gauge("slow", function=slow)
    pages = []
    scrape = threading.Thread(target=lambda: pages.append(ask("/metrics")[1]))
    scrape.start()
    try:
        assert reading.wait(PATIENCE)
        # Asked and answered while the page is being made.
        assert ask("/healthz")[0].status == 200
        assert pages == []
    finally:
        release.set()
        scrape.join(PATIENCE)
    assert "geth_slow 1.0" in pages[0]


def test_metrics_are_in_json(registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask("/metrics.json")
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(text) == {"geth/requests": {"count": 2}}


def test_health_is_200_without_checks(ask):
    response, text = ask("/healthz")
    assert (response.status, text) == (200, "ok\n")


def test_health_is_503_when_one_check_fails_and_says_which(registry, ask):
    def fail() -> None:
        raise OSError("no\nroute")

    registry.healthcheck("cache", lambda: None)
    registry.healthcheck("db", fail)
    response, text = ask("/healthz")
    assert (response.status, text) == (503, "ok geth/cache\nFAIL geth/db: no route\n")


@pytest.mark.parametrize("health_timeout", [0.2])
def test_a_check_that_hangs_is_503_in_time(registry, ask):
    release = threading.Event()
    registry.healthcheck("db", lambda: release.wait(PATIENCE))
    try:
        response, text = ask("/healthz")
    finally:
        release.set()
    assert response.status == 503
    assert "did not end within 0.2 s" in text


BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize("dashboard", [False])
def test_the_index_links_the_pages_and_escapes_its_title(registry, ask):
    registry.counter("requests")
    response, text = ask("/", Accept=BROWSER)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert "&lt;geth&gt;" in text
    assert "<geth>" not in text
    assert "1 instrument<" in text
    for path in PAGES:
        assert f'href="{path[1:]}"' in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    registry.counter("errors")
    assert "2 instruments<" in ask("/", Accept=BROWSER)[1]


def test_a_scraper_gets_the_values_where_a_browser_gets_the_index(registry, ask):
    registry.counter("requests").inc(2)
    for accept in ("", "*/*", "text/plain;version=0.0.4"):
        response, text = ask("/", Accept=accept)
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert text.endswith("\ngeth_requests_total 2\n")


@pytest.mark.parametrize("path", PAGES)
def test_a_slash_at_the_end_makes_no_difference(path, registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask(path)
    assert response.status == 200
    again, same = ask(f"{path}/")
    assert (again.status, same) == (200, text)


def test_go_ethereums_expvar_page_is_where_it_has_it(registry, ask):
    registry.meter("requests").mark(2)
    response, text = ask("/debug/metrics")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(text)["geth/requests.count"] == 2


@pytest.mark.parametrize(
    "query",
    [
        "name[]=%ff%fe",
        "name[]=%",
        "name[]=&&=&;",
        "name%5b%5d=%00%0a%F0%9F%92%A9",
        "name[]=" + "a" * 10_000,
        "&".join(["name[]=a"] * 1000),
    ],
)
def test_a_hostile_query_selects_nothing(query: str, registry, ask):
    registry.counter("requests").inc(2)
    response, text = ask(f"/metrics?{query}")
    assert (response.status, text) == (200, "")


def test_a_query_of_too_many_parameters_is_refused(registry, ask):
    response, text = ask("/metrics?" + "&".join(["name[]=a"] * 1001))
    assert (response.status, text) == (400, "too many parameters: use at most 1000\n")


@pytest.mark.parametrize("path", ["/", *PAGES])
def test_head_is_answered_without_a_body_and_post_refused(path, ask):
    for accept in ("*/*", BROWSER):
        head, body = ask(path, "HEAD", Accept=accept)
        assert (head.status, body) == (200, "")
    refused, text = ask(path, "POST")
    assert (refused.status, text) == (405, "use GET or HEAD\n")
    assert refused.headers["Allow"] == "GET, HEAD"


def test_anything_else_is_404_with_the_same_headers(ask):
    response, text = ask("/nothing")
    assert (response.status, text) == (404, "Not Found\n")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert ask("/nothing", "POST")[0].status == 404


@pytest.mark.parametrize("path", ["/metrics", "/metrics.json"])
def test_head_takes_nothing_from_a_resetting_timer(path, registry, ask):
    registry.resetting_timer("pause").update(1.0)
    ask(path, "HEAD")
    text = ask(path)[1]
    assert '"median": 1.0' in text or 'quantile="0.5"} 1.0' in text


@pytest.mark.parametrize("health_timeout", [0.2])
def test_a_check_that_hangs_holds_one_thread_however_often_it_is_asked_for(registry, ask):
    begun, release = threading.Event(), threading.Event()
    runs = []

    def hang() -> None:
        runs.append(1)
        begun.set()
        release.wait(PATIENCE)

    registry.healthcheck("db", hang)
    try:
        assert [ask("/healthz")[0].status for _ in range(3)] == [503] * 3
        assert begun.wait(PATIENCE)
    finally:
        release.set()
    assert len(runs) == 1


@pytest.mark.parametrize("path", ["/metrics", "/metrics.json"])
def test_scrapes_are_answered_however_often_while_a_check_hangs(path, registry, ask):
    begun, release, runs = threading.Event(), threading.Event(), []

    def hang() -> None:
        runs.append(threading.current_thread())
        begun.set()
        release.wait(PATIENCE)

    registry.healthcheck("db", hang, timeout=0.02)
    registry.counter("requests")
    try:
        # More than the event loop's executor has threads.
        for _ in range(40):
            response, text = ask(path)
            assert response.status == 200
            assert "requests" in text
            assert "geth_db_healthy 0" in text or "did not return within" in text
        assert "FAIL geth/db" in ask("/healthz")[1]
        assert begun.wait(PATIENCE)
    finally:
        release.set()
    assert len(runs) == 1
    runs[0].join(PATIENCE)
