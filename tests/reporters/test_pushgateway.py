import gzip
import logging
from urllib.parse import unquote

import pytest

from metrics import Registry
from metrics.exporters import prometheus as page
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import pushgateway as reporter
from metrics.reporters.pushgateway import group_path
from tests.exporters.examples import everything
from tests.exporters.write_requests import page as expected
from tests.processes import until
from tests.reporters.prometheus import Pushgateway
from tests.reporters.servers import Server, Web, response
from tests.reporters.waiting import FOREVER

PASSWORD = "p4ss:w0rd"


def own(samples):
    """Return what is the program's own, and not the reporter's or the gateway's."""
    return {
        (name, labels): value
        for (name, labels), value in samples.items()
        if not name.startswith(("reporter_", "push_"))
    }


def as_numbers(samples):
    """Return samples with bounds and quantiles as numbers: the gateway writes them in its way."""
    return {
        (name, frozenset((k, float(v) if k in {"le", "quantile"} else v) for k, v in labels)): value
        for (name, labels), value in samples.items()
    }


def push_once(registry: Registry, gateway: Pushgateway, job: str, grouping=None, **options):
    with reporter.http(registry, gateway.url, job, grouping, interval=FOREVER, **options):
        pass


@pytest.mark.parametrize("compress", [True, False])
def test_the_gateway_has_what_was_recorded(pushgateway: Pushgateway, compress: bool):
    job = f"compressed {compress}"
    push_once(everything(), pushgateway, job, compress=compress)
    assert as_numbers(own(pushgateway.samples(job))) == as_numbers(expected(everything()))


def test_a_push_replaces_the_group(pushgateway: Pushgateway):
    before, after = Registry(), Registry()
    before.counter("old").inc()
    after.counter("new").inc()
    for instance in ("a", "b"):
        push_once(before, pushgateway, "replaced", {"instance": instance})
    push_once(after, pushgateway, "replaced", {"instance": "a"})
    assert own(pushgateway.samples("replaced")) == {
        ("new_total", frozenset({("instance", "a")})): 1,
        ("old_total", frozenset({("instance", "b")})): 1,
    }


@pytest.mark.parametrize(
    "text",
    ["a b", "a/b", "/", "é😀", "%2F", "a?b#c", ".", "..", "...", "a\\b", "@base64", '"', "+"],
)
def test_awkward_groups_arrive_as_they_are(pushgateway: Pushgateway, text: str):
    registry = Registry()
    registry.counter("hits").inc()
    push_once(registry, pushgateway, text, {"shard": text, "zone": text})
    assert own(pushgateway.samples(text)) == {
        ("hits_total", frozenset({("shard", text), ("zone", text)})): 1
    }


def test_an_empty_label_of_the_group_is_none(pushgateway: Pushgateway):
    registry = Registry()
    registry.counter("hits").inc()
    push_once(registry, pushgateway, "empty", {"shard": ""})
    assert own(pushgateway.samples("empty")) == {("hits_total", frozenset()): 1}


def test_every_interval_the_newest_values_are_pushed(pushgateway: Pushgateway):
    registry = Registry()
    hits = registry.counter("hits")
    with reporter.http(registry, pushgateway.url, "often", interval=0.01):
        sent = registry.counter("reporter/pushgateway/sent")
        until(lambda: sent.count > 3, "pushes")
        hits.inc()
    assert own(pushgateway.samples("often")) == {("hits_total", frozenset()): 1}


def test_a_page_that_the_gateway_refuses_is_one_line_that_says_why(
    pushgateway: Pushgateway, caplog: pytest.LogCaptureFixture
):
    counting, measuring = Registry(), Registry()
    counting.counter("refused").inc()
    # Under the same name, which is a counter in another group.
    measuring.gauge("refused_total").set(1)
    push_once(counting, pushgateway, "counting")
    with reporter.http(measuring, pushgateway.url, "a", {"zone": "1"}, interval=0.01):
        dropped = measuring.counter("reporter/pushgateway/dropped")
        until(lambda: dropped.count > 2, "refusals")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "/metrics/job/a/zone/1 answered 400 " in record.getMessage()
    assert "refused_total" in record.getMessage()


@pytest.mark.parametrize("first", ["report", "jobs"])
def test_a_container_leaves_the_last_values_at_the_gateway(pushgateway: Pushgateway, first: str):
    job = f"{first} first"

    class Reported(MetricsContainer):
        if first == "report":
            push = Resource(
                reporter.http, MetricsContainer.registry, pushgateway.url, job, interval=FOREVER
            )
            jobs = Resource(_counter, MetricsContainer.registry)
        else:
            jobs = Resource(_counter, MetricsContainer.registry)
            push = Resource(
                reporter.http, MetricsContainer.registry, pushgateway.url, job, interval=FOREVER
            )

    container = Reported()
    container.init_resources()
    container.jobs().inc(3)
    container.shutdown_resources(timeout=5)
    assert own(pushgateway.samples(job)) == {("jobs_total", frozenset()): 3}


def _counter(registry: Registry):
    counter = registry.counter("jobs")
    yield counter
    registry.unregister("jobs", counter)


def test_only_the_newest_values_are_kept_for_a_gateway_that_is_away():
    answers = [response(503, Retry_After="0")]
    web = Web(lambda _: answers.pop() if answers else response(202))
    registry = Registry()
    hits = registry.counter("hits")
    with Server(web) as server, reporter.http(registry, server.url, "a", interval=0.02):
        dropped = registry.counter("reporter/pushgateway/dropped")
        until(lambda: dropped.count, "a newer page")
        hits.inc()
    assert "\nhits_total 1\n" in gzip.decompress(web.bodies[-1]).decode()


def test_a_request_says_what_it_is():
    web = Web(response(200))
    with (
        Server(web) as server,
        reporter.http(
            everything(),
            f"{server.url}/push/",
            "a b",
            username="me",
            password=PASSWORD,
            interval=FOREVER,
        ),
    ):
        pass
    (request,) = web.requests
    assert request.line == "PUT /push/metrics/job/a%20b HTTP/1.1"
    assert request.headers["content-type"] == page.CONTENT_TYPE
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["authorization"] == "Basic bWU6cDRzczp3MHJk"


def test_a_path_has_the_labels_in_their_order():
    assert group_path("j", {"b": "1", "a": "x/y"}) == "/metrics/job/j/b/1/a@base64/eC95"
    assert group_path("é", {"e": ""}) == "/metrics/job/%C3%A9/e@base64/="
    assert unquote(group_path("é", {})) == "/metrics/job/é"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"url": None}, ValueError, "option 'url' is required"),
        ({"job": None}, ValueError, "option 'job' is required"),
        ({"job": ""}, ValueError, "option 'job' is required"),
        ({"job": 3}, TypeError, "job"),
        ({"grouping": {"job": "x"}}, ValueError, "grouping holds 'job'"),
        ({"grouping": {"a-b": "x"}}, ValueError, "label name 'a-b' is malformed"),
        ({"grouping": {"shard": 3}}, TypeError, "'shard' of the group takes a str, got 3"),
        ({"grouping": ["instance"]}, TypeError, "grouping is a mapping"),
        ({"username": "me"}, ValueError, "option 'password' is required"),
        ({"password": PASSWORD}, ValueError, "option 'username' is required"),
        ({"username": "a:b", "password": PASSWORD}, ValueError, "invalid username with a colon"),
        ({"compress": "yes"}, TypeError, "invalid compress 'yes': use True or False"),
        ({"group": {}}, TypeError, "unknown option 'group'"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(options, error, message):
    given = {"url": "http://127.0.0.1:9091", "job": "a", **options}
    with pytest.raises(error, match=message) as raised, reporter.http(Registry(), **given):
        pass
    assert PASSWORD not in str(raised.value)


def test_none_is_the_default():
    nothing = dict.fromkeys(["username", "password", "name", "interval", "compress", "ca_file"])
    with reporter.http(Registry(enabled=False), "http://127.0.0.1:9", "a", None, **nothing):
        pass
