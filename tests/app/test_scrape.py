"""`python -m app scrape` prints the pages of real servers, and nothing that harms a terminal."""

import json
import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from app.cli import main
from tests.app.agents import PATIENCE, PROGRAM, ROOT
from tests.app.endpoints import page
from tests.processes import free_port

HOSTILE = "\x1b]0;owned\a\x1b[2J\x9b31m\r\n\u202e"


def scrape(capsys, *arguments: str) -> str:
    assert main(["scrape", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture
def prometheus_server():
    registry = CollectorRegistry()
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield registry, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_agent_is_scraped(agent, capsys):
    url = agent("--port", "0", "--tick-interval", "50ms").url()
    lines = scrape(capsys, url).splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "VALUE", "MEAN", "P50", "P95", "P99"]
    rows = {line.split()[0]: line.split()[1:] for line in lines if not line.startswith(" ")}
    assert rows["python_threads"][0] == "gauge"
    assert rows["system_memory_held_bytes"][2] == "MiB"
    assert rows["system_memory_pauses_seconds"][0] == "histogram"
    assert any('  {generation="0"}' in line for line in lines)


def test_hostile_labels_and_helps_are_escaped(prometheus_server, capsys):
    registry, url = prometheus_server
    Gauge("hostile", HOSTILE, ["label"], registry=registry).labels(HOSTILE).set(1)
    for arguments in ((), ("--raw",), ("--json",)):
        out = scrape(capsys, url, *arguments)
        assert out.replace("\n", "").isprintable()
    table = scrape(capsys, url)
    assert r'{label="\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202e"}' in table


def test_values_are_readable_or_raw(prometheus_server, capsys):
    registry, url = prometheus_server
    Gauge("held_bytes", "h", registry=registry).set(1536)
    Gauge("waited_seconds", "h", registry=registry).set(0.0125)
    Counter("calls", "h", registry=registry).inc(12_345)
    readable = scrape(capsys, url, "--filter", "held")
    assert readable.splitlines()[1].split() == ["held_bytes", "gauge", "1.5", "KiB"]
    assert "12.5 ms" in scrape(capsys, url)
    raw = scrape(capsys, url, "--raw")
    assert [line.split()[2] for line in raw.splitlines()[1:3]] == ["1536.0", "0.0125"]


def test_long_lines_are_whole_where_there_is_no_terminal(prometheus_server, capsys):
    registry, url = prometheus_server
    value = "x" * 5000
    Gauge("g", "h", ["label"], registry=registry).labels(value).set(1)
    (line,) = [line for line in scrape(capsys, url).splitlines() if value in line]
    assert line.endswith("1")


def test_histograms_have_count_mean_and_quantiles(prometheus_server, capsys):
    registry, url = prometheus_server
    waits = Histogram("waits_seconds", "h", ["kind"], registry=registry, buckets=(1, 2))
    waits.labels("a").observe(1.5)
    out = scrape(capsys, url, "--filter", "waits_seconds kind")
    (row,) = [line.split() for line in out.splitlines() if line.startswith('  {kind="a"}')][:1]
    assert row == ['{kind="a"}', "1", "1.5s", "1.5s", "1.95s", "1.99s"]


def test_unlabelled_and_labelled_series_of_one_name_are_below_it(endpoint, capsys):
    out = scrape(capsys, endpoint('# TYPE g gauge\ng 1\ng{a="b"} NaN\n').url)
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["g", "gauge"],
        ["{}", "1"],
        ['{a="b"}', "NaN"],
    ]


def test_json_has_all_facts(endpoint, capsys):
    text = '# HELP a_seconds Age\n# TYPE a_seconds gauge\na_seconds{b="c"} 2.5\ninf +Inf\n'
    text += '# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 1\n'
    first, second, third = json.loads(scrape(capsys, endpoint(text).url, "--json"))
    assert first == {
        "name": "a_seconds",
        "labels": {"b": "c"},
        "type": "gauge",
        "unit": "seconds",
        "help": "Age",
        "value": 2.5,
    }
    assert second["value"] == "+Inf"
    assert (third["count"], third["sum"]) == (2, 1)
    assert third["quantiles"] == {"0.5": 0.5, "0.95": 0.95, "0.99": 0.99}


def test_a_page_without_series_is_a_table_without_rows(endpoint, capsys):
    assert scrape(capsys, endpoint("").url).split() == ["NAME", "TYPE", "VALUE"]
    assert json.loads(scrape(capsys, endpoint("").url, "--json")) == []


@pytest.mark.parametrize(
    ("respond", "cause"),
    [
        (page("<html>"), "the page is not in Prometheus' text format: "),
        (page("a 1\n", "application/openmetrics-text"), "the page is not in OpenMetrics: "),
        (page("<html>", "text/html"), "text/html is no exposition format"),
        (lambda handler: handler.answer(status=503), "the server answers 503 "),
    ],
)
def test_a_page_that_cannot_be_read_is_one_line_and_exit_code_1(endpoint, capsys, respond, cause):
    url = endpoint(respond).url
    assert main(["scrape", url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"wired-metrics: cannot read {url}: {cause}")
    assert err.count("\n") == 1


def test_a_server_that_is_not_there_is_exit_code_1(capsys):
    port = free_port()
    assert main(["scrape", f"me:secret@127.0.0.1:{port}"]) == 1
    expected = f"wired-metrics: cannot read http://127.0.0.1:{port}/metrics: Connection refused\n"
    assert capsys.readouterr().err == expected


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *PROGRAM, "scrape", *arguments],
        cwd=ROOT, stderr=subprocess.PIPE, timeout=PATIENCE, check=False, **options,
    )  # fmt: skip


def test_a_reader_that_has_enough_is_no_error(endpoint):
    server = endpoint("".join(f'g{{a="{n}"}} 1\n' for n in range(20_000)))
    reading, writing = os.pipe()
    os.close(reading)
    done = run(server.url, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_of_another_alphabet_shows_escapes(endpoint):
    server = endpoint('g_seconds{a="ü"} 0.0000012\n')
    done = run(server.url, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb'{a="\xfc"}' in done.stdout
