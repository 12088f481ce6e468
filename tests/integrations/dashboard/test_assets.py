"""Files of the live page: as they are in the package, cached, and under a strict policy."""

import gzip

import pytest

from metrics import Registry
from metrics.integrations import asgi
from metrics.integrations._dashboard.assets import POLICY, assets
from tests.integrations.asking import ask

BROWSER = "text/html,*/*;q=0.8"


@pytest.fixture
def app():
    return asgi.exposition(Registry(), title="<b>&{base}")


def test_the_page_is_for_browsers_and_the_values_for_all_others(app):
    page = ask(app, "/", accept=BROWSER)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-cache"
    assert "&lt;b&gt;&amp;{base}" in page.text
    assert "<b>" not in page.text
    assert ask(app, "/").headers["Content-Type"].startswith("text/plain")
    assert ask(app, "/", "HEAD", accept=BROWSER).text == ""
    assert ask(app, "/", "POST", accept=BROWSER).status == 405


def test_links_are_right_below_a_mount_with_and_without_a_slash(app):
    async def mounting(scope, receive, send) -> None:
        await app({**scope, "root_path": "/x/a b&c"}, receive, send)

    assert 'href="a%20b%26c/' in ask(mounting, "/x/a b&c", accept=BROWSER).text
    assert "a%20b%26c" not in ask(mounting, "/x/a b&c/", accept=BROWSER).text
    assert ask(mounting, "/x/a b&c/dashboard/index.html").status == 200


@pytest.mark.parametrize("name", sorted(assets()))
def test_each_file_is_served_and_not_sent_twice(name, app):
    answer = ask(app, f"/dashboard/{name}")
    assert answer.status == 200
    assert answer.text.encode() == assets()[name].body
    assert answer.headers["Content-Security-Policy"] == POLICY
    again = ask(app, f"/dashboard/{name}", if_none_match=f'"other", {answer.headers["Etag"]}')
    assert (again.status, again.text) == (304, "")
    assert again.headers["Etag"] == answer.headers["Etag"]
    assert ask(app, f"/dashboard/{name}", if_none_match='"other"').status == 200


def test_files_are_compressed_if_accepted():
    asset = assets()["index.html"]
    assert gzip.decompress(asset.compressed) == asset.body


@pytest.mark.parametrize(
    "path", ["/dashboard", "/dashboard/", "/dashboard/nothing.js", "/dashboard/../assets.py"]
)
def test_other_paths_are_unknown(path, app):
    assert ask(app, path).status == 404


def test_all_files_together_are_small():
    assert sum(len(asset.body) for asset in assets().values()) < 60_000


def test_websockets_are_refused(app):
    import asyncio

    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/dashboard/events", "headers": []}
    asyncio.run(app(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_a_stopped_container_has_its_page():
    from metrics.lifecycle import MetricsContainer

    app = asgi.exposition(MetricsContainer())
    assert ask(app, "/", accept=BROWSER).status == 200
    assert ask(app, "/metrics").status == 503
