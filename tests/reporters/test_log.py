import logging

import pytest

from metrics import Registry
from metrics.exporters import log_lines
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import log
from tests.exporters.examples import everything
from tests.processes import until
from tests.reporters.waiting import FOREVER


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)


def test_each_instrument_and_child_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture):
    with log.to_logger(everything(), interval=FOREVER):
        pass
    expected = log_lines.render(everything()).decode().splitlines()
    own = [message for message in caplog.messages if not message.startswith("reporter/log/")]
    assert own == expected
    assert len(caplog.messages) == len(own) + 4
    assert {record.name for record in caplog.records} == {"metrics.report"}
    assert {record.levelno for record in caplog.records} == {logging.INFO}


@pytest.mark.parametrize("level", ["WARNING", "warning", logging.WARNING])
def test_logger_and_level_are_as_asked_for(caplog: pytest.LogCaptureFixture, level: int | str):
    with log.to_logger(Registry(), "shop.metrics", level, interval=FOREVER):
        pass
    assert {(record.name, record.levelno) for record in caplog.records} == {
        ("shop.metrics", logging.WARNING)
    }


def test_none_is_the_default(caplog: pytest.LogCaptureFixture):
    with log.to_logger(Registry(), None, None, name=None, interval=None, timeout=None):
        pass
    assert {(record.name, record.levelno) for record in caplog.records} == {
        ("metrics.report", logging.INFO)
    }


def test_no_label_makes_a_line_of_its_own(caplog: pytest.LogCaptureFixture):
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
    awkward = ["a\nb", "a\r\nb", "a\u2028b", "a\x85b", "a\x1b[2Jb", "%s %d"]
    for text in awkward:
        family.labels(text).inc()
    with log.to_logger(registry, interval=FOREVER):
        pass
    found = [message for message in caplog.messages if message.startswith("hits{")]
    assert len(found) == len(awkward)
    assert all(message.isprintable() for message in found)
    assert 'hits{path="%s %d"} count=1' in found


def test_it_is_logged_again_every_interval(caplog: pytest.LogCaptureFixture):
    registry = Registry()
    hits = registry.counter("hits")
    with log.to_logger(registry, interval=0.01):
        until(lambda: "hits count=0" in caplog.messages, "the first report")
        hits.inc()
        until(lambda: "hits count=1" in caplog.messages, "a later report")
        hits.inc()
    assert [m for m in caplog.messages if m.startswith("hits ")][-1] == "hits count=2"


@pytest.mark.parametrize("first", ["report", "requests"])
def test_a_container_logs_what_was_counted_until_it_stopped(
    caplog: pytest.LogCaptureFixture, first: str
):
    class Reported(MetricsContainer):
        if first == "report":
            report = Resource(log.to_logger, MetricsContainer.registry, interval=FOREVER)
            requests = Resource(_counter, MetricsContainer.registry)
        else:
            requests = Resource(_counter, MetricsContainer.registry)
            report = Resource(log.to_logger, MetricsContainer.registry, interval=FOREVER)

    container = Reported()
    container.init_resources()
    container.requests().inc(7)
    container.shutdown_resources()
    found = [message for message in caplog.messages if message.startswith("requests")]
    assert found == ["requests count=7"]


def _counter(registry: Registry):
    counter = registry.counter("requests")
    yield counter
    registry.unregister("requests", counter)


def test_a_handler_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture):
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the disk is full")

    failing = Failing()
    target = logging.getLogger("failing")
    target.addHandler(failing)
    registry = Registry()
    with log.to_logger(registry, "failing", interval=0.01):
        failed = registry.counter("reporter/log/failed")
        until(lambda: failed.count > 2, "failures")
    target.removeHandler(failing)
    (told,) = [
        record for record in caplog.records if record.name == "metrics.reporters._push.sender"
    ]
    assert "a handler of <Logger failing (DEBUG)> failed" in told.getMessage()
    assert "the disk is full" in told.getMessage()
    assert told.levelno == logging.ERROR


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": "loud"}, ValueError, "invalid level 'loud': use one of .*WARNING"),
        ({"level": True}, TypeError, "invalid level True: use a name"),
        ({"level": 1.5}, TypeError, "invalid level"),
        ({"logger_name": 3}, TypeError, "invalid logger_name 3"),
        ({"intervall": 3}, TypeError, "unknown option 'intervall'"),
        ({"interval": -1}, ValueError, "interval"),
        ({"name": "a\nb"}, ValueError, "name"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(options, error, message):
    with pytest.raises(error, match=message), log.to_logger(Registry(), **options):
        pass


def test_a_registry_that_is_off_is_not_logged(caplog: pytest.LogCaptureFixture):
    with log.to_logger(Registry(enabled=False), interval=FOREVER):
        pass
    assert not caplog.records
