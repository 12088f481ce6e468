"""Reads of endpoints are bounded, and every failure is one line in an operator's terms."""

import asyncio

import pytest

import app.endpoint
from app.endpoint import EndpointError, ScrapedPage, displayed_url, page_url, read
from tests.app.endpoints import OPENMETRICS, Handler, page
from tests.processes import free_port


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:9464", "http://localhost:9464/metrics"),
        ("localhost:9464/", "http://localhost:9464/metrics"),
        ("http://localhost", "http://localhost/metrics"),
        ("https://host/", "https://host/metrics"),
        ("host:1/other", "http://host:1/other"),
        ("host:1/a%20b?x=1", "http://host:1/a%20b?x=1"),
        ("host:1?x=1", "http://host:1/metrics?x=1"),
        ("[::1]:9464", "http://[::1]:9464/metrics"),
        ("http://me:secret@host/", "http://me:secret@host/metrics"),
    ],
)
def test_urls_are_completed(text, url):
    assert page_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", ":9464", "http://", "ftp://host/", "file:///etc/passwd", "host:99999", "http://[::1"],
)
def test_other_texts_are_no_urls(text):
    with pytest.raises(ValueError, match=r"use a URL such as http://127\.0\.0\.1:9464/metrics$"):
        page_url(text)


def test_passwords_are_not_displayed():
    assert displayed_url("http://me:secret@host/metrics") == "http://host/metrics"


def get(url: str) -> ScrapedPage:
    return asyncio.run(read(url))


def failure(url: str) -> str:
    with pytest.raises(EndpointError) as raised:
        get(url)
    assert str(raised.value).isprintable()
    return str(raised.value)


def test_both_formats_are_accepted_and_requested(endpoint):
    assert get(endpoint("a 1\n").url) == ScrapedPage("a 1\n", openmetrics=False)
    server = endpoint(page("a 1\n# EOF\n", OPENMETRICS))
    assert get(server.url) == ScrapedPage("a 1\n# EOF\n", openmetrics=True)
    accepted = server.requests[0].headers["Accept"]
    assert "application/openmetrics-text;version=1.0.0" in accepted
    assert "text/plain;version=0.0.4" in accepted


def test_bytes_that_are_no_utf8_are_replaced(endpoint):
    server = endpoint(lambda handler: handler.answer(b'a{b="\xff"} 1\n'))
    assert get(server.url).text == 'a{b="\N{REPLACEMENT CHARACTER}"} 1\n'


def test_a_server_that_is_not_there_is_one_line():
    assert failure(f"http://127.0.0.1:{free_port()}/metrics") == "Connection refused"


@pytest.mark.parametrize("status", [404, 500, 204])
def test_another_status_is_one_line(endpoint, status):
    server = endpoint(lambda handler: handler.answer(status=status))
    assert failure(server.url).startswith(f"the server answers {status} ")


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/json", "application/vnd.google.protobuf"]
)
def test_another_format_is_one_line(endpoint, content_type):
    server = endpoint(page("a 1\n", content_type))
    assert failure(server.url) == f"{content_type} is no exposition format"


def test_a_redirect_is_followed(endpoint):
    target = endpoint("a 1\n")
    moved = endpoint(lambda handler: handler.answer(status=302, Location=target.url))
    assert get(moved.url).text == "a 1\n"


def test_a_redirect_loop_is_one_line(endpoint):
    server = endpoint(lambda handler: handler.answer(status=302, Location=handler.path))
    assert failure(server.url) == "more than 5 redirects"
    assert len(server.requests) <= 7


def test_a_redirect_to_another_scheme_is_not_followed(endpoint):
    server = endpoint(lambda handler: handler.answer(status=302, Location="file:///etc/passwd"))
    assert "file" in failure(server.url)


def test_an_endless_body_is_read_to_the_limit(endpoint, monkeypatch):
    monkeypatch.setattr(app.endpoint, "MOST_BYTES", 2**20)

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        while not handler.server.stopping.is_set():
            handler.wfile.write(b"a 1\n" * 10_000)

    assert failure(endpoint(endless).url) == "the page has more than 1 MiB"


@pytest.mark.parametrize("with_headers", [True, False])
def test_a_server_that_drips_is_left_in_time(endpoint, monkeypatch, with_headers):
    monkeypatch.setattr(app.endpoint, "MOST_SECONDS", 0.2)

    def drip(handler: Handler) -> None:
        if with_headers:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/plain")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nHeader: ")
        while not handler.server.stopping.wait(0.01):
            handler.wfile.write(b"#")

    assert failure(endpoint(drip).url) == "no complete answer within 0.2 s"


def test_a_server_that_stops_in_the_middle_is_one_line(endpoint):
    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"a 1\n")

    assert failure(endpoint(half).url)


@pytest.mark.parametrize("answer", [b"\x1b[2J\r\n\r\n", b"HTTP/1.1 \x1b[31m\r\n\r\n", b""])
def test_an_answer_that_is_no_http_is_one_line(endpoint, answer):
    assert "erver" in failure(endpoint(lambda handler: handler.wfile.write(answer)).url)
