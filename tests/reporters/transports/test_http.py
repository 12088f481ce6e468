"""Whatever a server does, a payload is taken, refused, or kept: on time, and in secret."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics._version import library_version
from metrics.reporters._transports.connection import RENEWAL
from metrics.reporters._transports.http import RETRIED, seconds_of
from metrics.reporters._transports.transport import (
    Malformed,
    PartlyTaken,
    Rejected,
    TooLarge,
    Unavailable,
)
from metrics.testing import ManualClock
from tests.processes import free_port
from tests.reporters.names import SECOND_LOOPBACK
from tests.reporters.servers import (
    LOOPBACK,
    OK,
    TOKEN,
    Server,
    Web,
    accepted,
    dripping,
    full_backlog,
    hanging_up,
    response,
    saying,
    silent,
)
from tests.reporters.waiting import DEADLINE, FOREVER, aborted_when, ended

SOON = 0.1


def test_a_payload_is_the_body_of_a_request(sending):
    web = Web(OK)
    with Server(web) as server:
        sending(server, headers={"Authorization": f"Token {TOKEN}"}, method="PUT")
    (request,) = web.requests
    assert request.line == "PUT /write?db=metrics HTTP/1.1"
    assert request.headers["authorization"] == f"Token {TOKEN}"
    assert request.body == b"payload"


def test_requests_name_the_library_and_its_version_unless_a_header_does(sending):
    web = Web(OK)
    with Server(web) as server:
        sending(server)
        sending(server, headers={"user-agent": "shop/1"})
    agents = [request.headers["user-agent"] for request in web.requests]
    version = library_version()
    assert agents == [f"wired-metrics/{version}" if version else "wired-metrics", "shop/1"]


def test_a_connection_is_replaced_after_some_minutes_so_that_a_moved_name_is_followed(
    transport_to, names
):
    old, new = Web(OK), Web(OK)
    clock = ManualClock()
    names.move("db.example", LOOPBACK)
    with (
        Server(old) as first,
        Server(new, port=first.port, host=SECOND_LOOPBACK) as second,
    ):
        transport = transport_to(f"http://db.example:{first.port}", clock=clock)
        transport.send(b"1", DEADLINE)
        names.move("db.example", SECOND_LOOPBACK)
        clock.advance(RENEWAL - 1)
        transport.send(b"2", DEADLINE)
        clock.advance(1)
        transport.send(b"3", DEADLINE)
        clock.advance(RENEWAL - 1)
        transport.send(b"4", DEADLINE)
        assert first.has_accepted(1)
        assert second.has_accepted(1)
    assert (old.bodies, new.bodies) == ([b"1", b"2"], [b"3", b"4"])
    assert names.questions == ["db.example"] * 2


def test_one_connection_is_kept(transport_to):
    web = Web(response(200, b"fine"))
    with Server(web) as server:
        transport = transport_to(server)
        for number in range(5):
            transport.send(b"%d" % number, DEADLINE)
        assert server.has_accepted(1)
    assert web.bodies == [b"0", b"1", b"2", b"3", b"4"]


def test_a_connection_closed_between_two_requests_is_made_anew(transport_to):
    web = Web(OK + Web.CLOSE)
    with Server(web) as server:
        transport = transport_to(server)
        for _ in range(5):
            transport.send(b"", DEADLINE)
        assert server.has_accepted(5)


def test_a_connection_closed_at_the_very_moment_of_a_request_is_made_anew(transport_to):
    # The second request of the first connection is read, and answered by closing.
    web = Web(lambda _: OK if len(web.requests) != 2 else Web.CLOSE)
    with Server(web) as server:
        transport = transport_to(server)
        transport.send(b"1", DEADLINE)
        transport.send(b"2", DEADLINE)
        assert server.has_accepted(2)
    assert web.bodies == [b"1", b"2", b"2"]


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_what_may_work_later_is_unavailable(sending, status):
    with (
        Server(Web(response(status, b"busy"))) as server,
        pytest.raises(Unavailable, match=rf"127.0.0.1:\d+/write answered {status} busy$") as caught,
    ):
        sending(server)
    assert caught.value.blames_payload == (status in {500, 507})
    assert not caught.value.unanswered


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, TooLarge),
        (400, Malformed),
        (422, Malformed),
        (401, Rejected),
        (403, Rejected),
        (404, Rejected),
        (501, Rejected),
    ],
)
def test_a_refusal_says_what_is_refused(sending, status, kind):
    with Server(Web(response(status, b"no"))) as server, pytest.raises(Rejected) as caught:
        sending(server)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "kind"), [(400, PartlyTaken), (422, PartlyTaken), (413, TooLarge), (401, Rejected)]
)
def test_a_server_may_refuse_one_series_and_take_the_rest(sending, status, kind):
    with Server(Web(response(status, b"partial"))) as server, pytest.raises(Rejected) as caught:
        sending(server, took_rest=lambda answer: answer == b"partial")
    assert type(caught.value) is kind


def test_success_with_a_problem_is_a_payload_that_is_partly_taken(sending):
    with Server(Web(response(200, b"x"))) as server, pytest.raises(PartlyTaken, match="left out"):
        sending(server, problem=lambda _: "left out 1")


@pytest.mark.parametrize("handler", [hanging_up, saying(b"HTTP/1.1 20"), saying(b"garbage\r\n")])
def test_a_payload_that_was_sent_without_an_answer_may_have_been_taken(sending, handler):
    with Server(handler) as server, pytest.raises(Unavailable) as caught:
        sending(server)
    assert caught.value.unanswered
    assert not caught.value.blames_payload


def test_a_payload_that_was_never_sent_has_not_been_taken(sending):
    with pytest.raises(Unavailable) as caught:
        sending(f"http://127.0.0.1:{free_port()}")
    assert not caught.value.unanswered


def test_a_kept_connection_that_breaks_may_have_carried_the_payload(transport_to):
    web = Web(lambda _: OK if len(web.requests) == 1 else Web.CLOSE)
    with Server(web) as server:
        transport = transport_to(server)
        transport.send(b"1", DEADLINE)
        server._listener.close()
        with pytest.raises(Unavailable) as caught:
            transport.send(b"2", DEADLINE)
    assert caught.value.unanswered


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 413, 501])
def test_everything_else_is_refused(sending, status):
    elsewhere = Web(OK)
    with Server(elsewhere) as other:
        answer = response(status, b"" if status == 304 else b"no", Location=other.url)
        with (
            Server(Web(answer)) as server,
            pytest.raises(Rejected, match=f"answered {status}"),
        ):
            sending(server)
    assert elsewhere.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_with_the_new_address_and_the_remedy(sending, status):
    answer = response(status, Location=f"https://user:{TOKEN}@new.example/write?p={TOKEN}#x")
    with Server(Web(answer)) as server, pytest.raises(Rejected) as caught:
        sending(server)
    assert str(caught.value).endswith(
        f"/write answered {status} and redirects to 'https://***@new.example/write'; redirects are "
        "not followed: set the option url to the new address"
    )


@pytest.mark.parametrize("location", [f"/v2/{TOKEN}/write", "\x00\x1b[31m", "x" * 1000])
def test_any_location_is_shown_as_one_short_line_without_secrets(sending, location):
    answer = response(302, Location=location)
    with Server(Web(answer)) as server, pytest.raises(Rejected, match="answered 302") as caught:
        sending(server, secrets=(TOKEN,))
    assert TOKEN not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7.0, 7.0),
        (format_datetime(datetime.now(UTC) + timedelta(days=2)), 86_400.0, 2 * 86_400.0),
        ("soon", 0.0, 0.0),
    ],
    ids=["seconds", "date", "nonsense"],
)
def test_how_long_to_wait_is_told(sending, status, header, least, most):
    with (
        Server(Web(response(status, Retry_After=header))) as server,
        pytest.raises(Unavailable) as caught,
    ):
        sending(server)
    assert least <= caught.value.retry_after <= most


def test_retry_after_is_a_number_or_a_date_in_the_future_or_nothing():
    assert seconds_of(" 120 ") == 120.0
    for nothing in ("", "-5", "1.5", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Oct 2015"):
        assert seconds_of(nothing) == 0.0
    assert seconds_of("Wed, 21 Oct 9999 07:28:00") > 1e9
    assert seconds_of("1 Jan 2030 00:00:00 +999999999999999") == 0.0


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+A-Z0-9]+"))
def test_any_retry_after_is_a_number_of_seconds(text):
    assert seconds_of(text) >= 0.0


@pytest.mark.parametrize(
    "handler",
    [
        hanging_up,
        saying(b"\x00\xff\x00garbage\r\n\r\n"),
        saying(b"HTTP/1.1 abc\r\n\r\n"),
        saying(b"HTTP/1.1 20"),
        saying(b"220 smtp.example.org ESMTP\r\n"),
        saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
        saying(b"HTTP/1.1 200 " + b"x" * 100_000),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ],
)
def test_a_server_that_makes_no_sense_is_unavailable(sending, handler, caplog):
    with (
        caplog.at_level(logging.INFO),
        Server(handler) as server,
        pytest.raises(Unavailable, match=r"127\.0\.0\.1") as caught,
    ):
        sending(server)
    assert len(str(caught.value)) < 300
    assert caplog.text == ""


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"Content-Length: nonsense\r\n\r\n",
        b"no header at all\r\n\r\n",
        b"Content-Le",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
        b"\r\n" + b"x" * 1_000_000,
    ],
)
def test_the_status_alone_decides(transport_to, rest, caplog):
    with caplog.at_level(logging.INFO):
        with Server(saying(b"HTTP/1.1 200 OK\r\n" + rest)) as server:
            transport = transport_to(server)
            transport.send(b"", DEADLINE)
            transport.send(b"", DEADLINE)
            assert server.has_accepted(2)
        with Server(saying(b"HTTP/1.1 400 No\r\n" + rest)) as server, pytest.raises(Rejected):
            transport_to(server).send(b"", DEADLINE)
    # Nor does urllib3 tell anybody what it thinks of the headers.
    assert caplog.text == ""


@pytest.mark.parametrize("rest", [b"X: ", b"Content-Length: 1000000\r\n\r\n", b"\r\n"])
def test_an_answer_that_never_ends_does_not_undo_success(sending, time_is_up, rest):
    with Server(dripping(b"HTTP/1.1 200 OK\r\n" + rest, said=time_is_up)) as server:
        ended(lambda: sending(server, payload=b""))
    time_is_up.clear()
    refusing = dripping(b"HTTP/1.1 400 No\r\n" + rest, said=time_is_up)
    with Server(refusing) as server, pytest.raises(Rejected):
        sending(server, payload=b"")


@pytest.mark.parametrize(
    "handler",
    [
        silent,
        dripping(b"HTTP/1.1 2"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_server_that_takes_for_ever_is_given_up_on_time(sending, time_is_up, handler):
    def send() -> None:
        with pytest.raises(Unavailable, match="no answer within 10 s"):
            sending(server)

    with Server(accepted(time_is_up, handler)) as server:
        ended(send)


def test_a_server_that_does_not_read_is_given_up_on_time(sending, time_is_up):
    def send() -> None:
        with pytest.raises(Unavailable, match="no answer"):
            sending(server, payload=bytes(50_000_000))

    pause = threading.Event()
    with Server(accepted(time_is_up, lambda _: pause.wait(DEADLINE))) as server:
        ended(send)
        pause.set()


def test_a_server_that_does_not_accept_is_given_up_on_time(sending):
    with full_backlog() as port:
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(Unavailable, match=r"no connection within 0\.05 s"):
            sending(url, connect_timeout=0.05)
        with pytest.raises(Unavailable, match=r"within 0\.1 s"):
            sending(url, SOON)


def test_a_delivery_can_be_aborted(sending, transport_to):
    web_asked = threading.Event()

    def handler(connection) -> None:
        connection.recv(10)
        web_asked.set()
        silent(connection)

    with Server(handler) as server:
        transport = transport_to(server)

        def send() -> None:
            with pytest.raises(Unavailable, match="no time left"):
                transport.send(b"", FOREVER)

        with aborted_when(web_asked, transport):
            ended(send)


def test_nobody_there_and_no_such_name_are_unavailable(sending):
    with pytest.raises(Unavailable, match="refused"):
        sending(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match=r"no-such-host\.invalid:80/write: "):
        sending("http://no-such-host.invalid")


def test_a_server_that_comes_back_is_found(transport_to):
    web = Web(OK)
    with Server(web) as server:
        transport = transport_to(server)
        transport.send(b"1", DEADLINE)
    with pytest.raises(Unavailable):
        transport.send(b"2", DEADLINE)
    with Server(web, port=server.port):
        transport.send(b"3", DEADLINE)
    assert web.bodies == [b"1", b"3"]
