import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import log_lines
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import syslog
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import LOOPBACK, free_port, until
from tests.reporters.receiving import received, udp_socket, unix_reader
from tests.reporters.servers import Server, Sink
from tests.reporters.waiting import FOREVER

MESSAGE = re.compile(
    rb"<(?P<priority>0|[1-9]\d{0,2})>1 "
    rb"(?P<timestamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) "
    rb"(?P<message>-|[!-~]{1,32}) - \xef\xbb\xbf(?P<text>[^\n\r\0]*)"
)
"""RFC 5424, section 6, with a UTF-8 text."""

LOCAL = re.compile(
    rb"<(?P<priority>\d{1,3})>(?P<month>[A-Z][a-z]{2}) (?P<day>[ 12]\d|3[01]) "
    rb"(?P<time>\d\d:\d\d:\d\d) (?P<app>[^ \[\]:]+)\[(?P<process>\d+)\]: (?P<text>[^\n\r\0]*)"
)
"""What syslog(3) writes."""


class Message(NamedTuple):
    priority: int
    at: datetime
    host: str
    app: str
    text: str


def parsed(data: bytes) -> Message:
    found = MESSAGE.fullmatch(data)
    assert found, data
    priority = int(found["priority"])
    assert priority <= 191
    return Message(
        priority,
        datetime.fromisoformat(found["timestamp"].decode()),
        found["host"].decode(),
        found["app"].decode(),
        found["text"].decode(),
    )


def unframed(data: bytes) -> list[bytes]:
    """Return messages that are framed by their length (RFC 6587, section 3.4.1)."""
    found = []
    while data:
        length, space, data = data.partition(b" ")
        assert space
        assert re.fullmatch(rb"[1-9]\d*", length), length
        assert len(data) >= int(length)
        found.append(data[: int(length)])
        data = data[int(length) :]
    return found


def others(texts: list[str]) -> list[str]:
    return [text for text in texts if not text.startswith("reporter/")]


EVERYTHING = log_lines.render(everything()).decode().splitlines()


def test_each_instrument_is_a_message_of_rfc_5424():
    clock = ManualClock(epoch=NOW_NS / 1e9)
    with udp_socket() as sock:
        port = sock.getsockname()[1]
        with syslog.udp(
            everything(),
            LOOPBACK,
            port,
            facility="local3",
            severity="warning",
            app_name="shop",
            interval=FOREVER,
            clock=clock,
        ):
            pass
        messages = [parsed(data) for data in received(sock)]
    assert others([message.text for message in messages]) == EVERYTHING
    assert {message.priority for message in messages} == {19 * 8 + 4}
    assert {message.app for message in messages} == {"shop"}
    assert {message.host for message in messages} == {socket.gethostname()}
    (at,) = {message.at for message in messages}
    assert abs(at - datetime.fromtimestamp(clock.time(), UTC)) <= timedelta(microseconds=1)


def test_messages_over_tcp_are_framed_by_their_length():
    sink = Sink()
    registry = everything()
    registry.counters("é", labels=("l",)).labels("ü\n").inc()
    with Server(sink) as server:
        with syslog.tcp(registry, LOOPBACK, server.port, interval=FOREVER):
            pass
        sink.wait_for(b"used value=1.5GiB")
        messages = [parsed(data) for data in unframed(bytes(sink._received))]
    texts = [message.text for message in messages]
    assert 'é{l="ü\\n"} count=1' in texts
    assert [text for text in others(texts) if "é" not in text] == EVERYTHING
    assert {message.priority for message in messages} == {1 * 8 + 6}
    assert {message.app for message in messages} == {"metrics"}


def test_the_machines_own_syslog_gets_what_its_library_writes(tmp_path: Path):
    path = tmp_path / "log"
    clock = ManualClock(epoch=NOW_NS / 1e9)
    with (
        unix_reader(path) as messages,
        syslog.unix(everything(), str(path), app_name="shop", interval=FOREVER, clock=clock),
    ):
        pass
    found = [LOCAL.fullmatch(data) for data in messages]
    assert all(found)
    assert others([one["text"].decode() for one in found if one]) == EVERYTHING
    at = datetime.fromtimestamp(NOW_NS // 10**9, UTC).astimezone()
    for one in found:
        assert one
        assert (one["priority"], one["app"]) == (b"14", b"shop")
        assert one["month"].decode() == at.strftime("%b")
        assert int(one["day"]) == at.day
        assert one["time"].decode() == at.strftime("%H:%M:%S")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.integers(0, 253_402_300_799_999_999_999),
)
def test_any_label_at_any_time_is_one_well_formed_message(text: str, ns: int):
    registry = Registry()
    registry.counters("hits", labels=("l",)).labels(text).inc()
    (line,) = log_lines.render(registry).splitlines()
    message = parsed(syslog.standard(syslog.Header(14, ns, "shop"), line))
    assert message.text.encode() == line
    assert (message.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    ) == ns // 1000
    (framed,) = unframed(syslog.length_prefixed(syslog.Header(14, ns, "shop"), line))
    assert parsed(framed) == message
    assert LOCAL.fullmatch(syslog.local(syslog.Header(14, ns, "shop"), line))


def test_a_server_that_was_away_gets_what_waited():
    port = free_port()
    registry = Registry()
    hits = registry.counter("hits")
    with syslog.tcp(registry, LOOPBACK, port, interval=0.05, timeout=1):
        hits.inc()
        until(lambda: registry.counter("reporter/syslog/failed").count, "a failure")
        sink = Sink()
        with Server(sink, port):
            sink.wait_for(b"hits count=1")
            hits.inc()
            sink.wait_for(b"hits count=2")
    texts = [parsed(data).text for data in unframed(bytes(sink._received))]
    counts = [text for text in texts if text.startswith("hits ")]
    assert counts == sorted(counts)
    assert counts[-1] == "hits count=2"


def test_a_container_sends_the_last_values(tmp_path: Path):
    path = tmp_path / "log"

    class Reported(MetricsContainer):
        report = Resource(syslog.unix, MetricsContainer.registry, str(path), interval=FOREVER)

    with unix_reader(path) as messages:
        container = Reported()
        container.init_resources()
        container.registry().counter("jobs").inc(3)
        container.shutdown_resources()
    assert any(data.endswith(b"]: jobs count=3") for data in messages)


@pytest.mark.parametrize("hook", [syslog.udp, syslog.tcp, syslog.unix])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"facility": "kernel"}, ValueError, "invalid facility 'kernel': use one of .*daemon"),
        ({"facility": 3}, ValueError, "invalid facility"),
        ({"severity": "loud"}, ValueError, "invalid severity 'loud': use one of .*warning"),
        ({"app_name": "my app"}, ValueError, "use up to 48 printable ASCII"),
        ({"app_name": "é"}, ValueError, "app_name"),
        ({"app_name": "x" * 49}, ValueError, "app_name"),
        ({"app_name": ""}, ValueError, "app_name"),
        ({"app_name": 3}, TypeError, "app_name"),
        ({"hostname": "x"}, TypeError, "unknown option 'hostname'"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(hook, options, error, message):
    with pytest.raises(error, match=message), hook(Registry(), **options):
        pass


@pytest.mark.parametrize("hook", [syslog.udp, syslog.tcp])
@pytest.mark.parametrize(
    ("host", "port", "error", "message"),
    [
        ("a b", None, ValueError, "host 'a b'"),
        (3, None, TypeError, "host"),
        (None, 0, ValueError, "port"),
        (None, "514", TypeError, "port"),
    ],
)
def test_a_wrong_address_is_an_error_at_the_start(hook, host, port, error, message):
    with pytest.raises(error, match=message), hook(Registry(), host, port):
        pass


def test_none_is_the_default(tmp_path: Path):
    nothing = dict.fromkeys(["facility", "severity", "app_name", "name", "interval", "timeout"])
    assert syslog.HOST == LOOPBACK
    with syslog.udp(Registry(enabled=False), None, None, **nothing):
        pass
    with syslog.tcp(Registry(enabled=False), None, None, connect_timeout=None, **nothing):
        pass
    with syslog.unix(Registry(enabled=False), None, **nothing):
        pass


def test_the_machines_name_is_what_a_message_can_hold(monkeypatch: pytest.MonkeyPatch):
    for name, shown in [("web 1é\n", "web1"), ("é", "-"), ("x" * 300, "x" * 255)]:
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        assert syslog.host_name() == shown


@pytest.mark.parametrize("hook", [syslog.udp, syslog.unix])
def test_what_makes_no_connection_takes_no_time_for_one(hook):
    with (
        pytest.raises(TypeError, match="unknown option 'connect_timeout'"),
        hook(Registry(), connect_timeout=1.0),
    ):
        pass
