import gzip
import logging
import threading
from urllib.parse import unquote

import pytest

from metrics import Registry
from metrics.exporters import prometheus as page
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import pushgateway as reporter
from metrics.reporters.pushgateway import LabelRenaming, group_path
from tests.exporters.examples import everything
from tests.exporters.write_requests import page as expected
from tests.forks import forking, in_child
from tests.processes import until
from tests.reporters.prometheus import Pushgateway
from tests.reporters.servers import Server, Web, response
from tests.reporters.waiting import DEADLINE, FOREVER

PASSWORD = "p4ss:w0rd"

pytestmark = forking


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
        failed = registry.counter("reporter/pushgateway/failed")
        until(lambda: failed.count, "a failure")
        hits.inc()
    assert registry.counter("reporter/pushgateway/dropped").count == 0
    assert "\nhits_total 1\n" in gzip.decompress(web.bodies[-1]).decode()


def labelled(*labels: str) -> Registry:
    """Return a registry with a series for each of two values of each label."""
    registry = Registry()
    family = registry.counters("hits", labels=labels)
    for number in range(2):
        family.labels(*[f"{label} {number}" for label in labels]).inc(number + 1)
    return registry


def test_a_label_that_the_group_has_is_renamed_as_in_a_scrape(
    pushgateway: Pushgateway, caplog: pytest.LogCaptureFixture
):
    registry = labelled("job", "instance", "zone")
    push_once(registry, pushgateway, "renamed", {"instance": "a"}, name="gateway")
    assert own(pushgateway.samples("renamed")) == {
        (
            "hits_total",
            frozenset(
                {
                    ("exported_job", f"job {number}"),
                    ("exported_instance", f"instance {number}"),
                    ("instance", "a"),
                    ("zone", f"zone {number}"),
                }
            ),
        ): number + 1
        for number in range(2)
    }
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"gateway: label {label!r} of hits_total is also a label of the group; it is pushed as "
        f"'exported_{label}', here and in other series"
        for label in ("instance", "job")
    ]


@pytest.mark.parametrize("label", ["job", "zone"])
def test_histograms_and_others_with_a_label_of_the_group_are_taken(
    pushgateway: Pushgateway, label: str
):
    registry = Registry()
    for text in ("a", "b"):
        registry.bucket_histograms("sizes", bounds=[1, 5], labels=(label,)).labels(text).update(3)
        registry.timers("waits", labels=(label,)).labels(text).update(3)
        registry.gauges("loads", labels=(label,)).labels(text).set(3)
    job = f"{label} everywhere"
    push_once(registry, pushgateway, job, {"zone": "1"})
    found = own(pushgateway.samples(job))
    assert {dict(labels)[f"exported_{label}"] for _, labels in found} == {"a", "b"}
    assert len({name for name, _ in found}) > 5


def test_an_exported_label_that_is_there_already_is_kept(pushgateway: Pushgateway):
    registry = labelled("job", "exported_job")
    push_once(registry, pushgateway, "twice", {"exported_exported_job": "1"})
    assert {labels for _, labels in own(pushgateway.samples("twice"))} == {
        frozenset(
            {
                ("exported_job", f"exported_job {number}"),
                ("exported_exported_job", "1"),
                ("exported_exported_exported_job", f"job {number}"),
            }
        )
        for number in range(2)
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'a{job="x"} 1', b'a{exported_job="x"} 1'),
        (b'a{x="1",job="x",y="2"} 1', b'a{x="1",exported_job="x",y="2"} 1'),
        (b'job{myjob="x",job_="y"} 1', b'job{myjob="x",job_="y"} 1'),
        (b'a{x="{job="} 1', b'a{x="{job="} 1'),
        (b'a{x="\\",job=\\"y\\""} 1', b'a{x="\\",job=\\"y\\""} 1'),
        (b'a{x="\\\\",job="y"} 1', b'a{x="\\\\",exported_job="y"} 1'),
        (b'a{x="\r",job="y"} 1', b'a{x="\r",exported_job="y"} 1'),
        (b'# HELP a the label job="x", and a "', b'# HELP a the label job="x", and a "'),
        (b"job 1", b"job 1"),
    ],
)
def test_labels_alone_are_renamed(line: bytes, expected: bytes):
    labels = LabelRenaming("gateway", {"job"})
    page = b'# HELP x "\n%s\nx{y="z"} 1\n'
    assert labels.rename(page % line) == page % expected


def test_added_metrics_leave_those_with_other_names(pushgateway: Pushgateway):
    before, after = Registry(), Registry()
    before.counter("old").inc()
    before.counter("both").inc(1)
    after.counter("both").inc(2)
    push_once(before, pushgateway, "added")
    push_once(after, pushgateway, "added", add=True)
    assert own(pushgateway.samples("added")) == {
        ("old_total", frozenset()): 1,
        ("both_total", frozenset()): 2,
    }


def test_a_group_is_deleted_at_the_end_and_others_stay(pushgateway: Pushgateway, caplog):
    registry = labelled("zone")
    push_once(registry, pushgateway, "deleted", {"shard": "kept"})
    options = {"password": PASSWORD, "username": "me", "interval": 0.01}
    with reporter.http(
        registry, pushgateway.url, "deleted", {"shard": "a"}, delete_at_end=True, **options
    ):
        until(lambda: len(own(pushgateway.samples("deleted"))) == 4, "a push")
    assert {dict(labels)["shard"] for _, labels in pushgateway.samples("deleted")} == {"kept"}
    assert not caplog.records


def test_a_group_is_deleted_after_the_last_push_by_a_request_without_content():
    web = Web(response(202))
    with (
        Server(web) as server,
        reporter.http(
            Registry(), server.url, "a", delete_at_end=True, username="me", password=PASSWORD
        ),
    ):
        pass
    push, deletion = web.requests
    assert push.line == "PUT /metrics/job/a HTTP/1.1"
    assert deletion.line == "DELETE /metrics/job/a HTTP/1.1"
    assert deletion.headers["authorization"] == push.headers["authorization"]
    assert "content-encoding" not in deletion.headers
    assert web.bodies[1] == b""


@pytest.mark.parametrize("status", [403, 503])
def test_a_group_that_is_not_deleted_is_one_line(status: int, caplog: pytest.LogCaptureFixture):
    answers = [response(status), response(202)]
    web = Web(lambda _: answers.pop())
    with Server(web) as server, reporter.http(Registry(), server.url, "a", delete_at_end=True):
        pass
    (record,) = caplog.records
    assert record.getMessage().startswith("pushgateway did not delete its group, which stays: ")
    assert f"answered {status}" in record.getMessage()


@pytest.mark.parametrize("silent", ["PUT", "DELETE"])
def test_a_gateway_that_does_not_answer_does_not_hold_up_the_stop(silent: str, caplog):
    released = threading.Event()

    def answer(request):
        if request.line.startswith(silent):
            released.wait(DEADLINE)
        return response(202)

    web = Web(answer)
    with (
        Server(web) as server,
        reporter.http(
            Registry(), server.url, "a", delete_at_end=True, timeout=FOREVER, interval=FOREVER
        ) as running,
    ):
        running.stop(0.5)
        assert not running.running
        released.set()
    if silent == "DELETE":
        assert "did not delete its group, which stays" in caplog.text


def test_a_forked_process_deletes_nothing():
    web = Web(response(202))
    with Server(web) as server:
        block = reporter.http(Registry(), server.url, "a", delete_at_end=True, interval=FOREVER)
        running = block.__enter__()
        assert in_child(leave, block) is None
        assert not web.requests
        assert running.running
        block.__exit__(None, None, None)
    assert [request.line.split()[0] for request in web.requests] == ["PUT", "DELETE"]


def leave(block) -> None:
    block.__exit__(None, None, None)


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
        ({"grouping": {"le": "x"}}, ValueError, "label name 'le' is reserved"),
        ({"grouping": {"quantile": "x"}}, ValueError, "label name 'quantile' is reserved"),
        ({"add": "perhaps"}, ValueError, "invalid add 'perhaps'"),
        ({"delete_at_end": 2}, ValueError, "invalid delete_at_end 2"),
        (
            {"delete_at_end": True, "compress": "yes"},
            TypeError,
            "invalid compress 'yes': use True or False",
        ),
        ({"delete_at_end": True, "group": {}}, TypeError, "unknown option 'group'"),
        ({"grouping": {"a-b": "x"}}, ValueError, "label name 'a-b' is malformed"),
        ({"grouping": {"shard": 3}}, TypeError, "invalid value 3 of 'shard' in grouping"),
        ({"grouping": ["instance"]}, TypeError, "invalid grouping"),
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
