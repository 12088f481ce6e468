"""Whatever a server answers, no secret is in an error, a log or a repr."""

import logging
from urllib.parse import quote

import pytest

from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.http import Http
from metrics.reporters._transports.transport import Rejected, Unavailable
from tests.reporters.servers import (
    BASIC,
    OK,
    TOKEN,
    Server,
    Web,
    response,
    saying,
)
from tests.reporters.waiting import FOREVER

SOON = 0.1


@pytest.mark.parametrize("status", [200, 401, 503])
@pytest.mark.parametrize(
    "echo",
    [
        TOKEN,
        f"Token {TOKEN}",
        quote(TOKEN, safe=""),
        f"Basic {BASIC}",
        f"<b>{TOKEN}</b>\n" * 100,
        " " * 4000 + TOKEN * 10,
        "\n".join(TOKEN),
    ],
)
def test_a_server_that_repeats_secrets_is_not_quoted(sending, status, echo, caplog):
    answers = [
        response(status, echo.encode(), X_Token=quote(TOKEN), Set_Cookie=TOKEN),
        echo.encode(),
        b"HTTP/1.1 503 " + echo.encode() + b"\r\n\r\n",
        b"HTTP/1.1 " + echo.encode() + b"\r\n\r\n",
    ]
    options = {
        "headers": {"Authorization": f"Basic {BASIC}", "X-Token": TOKEN},
        "secrets": (TOKEN, BASIC),
    }
    told = []
    with caplog.at_level(logging.DEBUG):
        for answer in answers:
            with Server(saying(answer)) as server:
                try:
                    sending(server, **options)
                except (Rejected, Unavailable) as error:
                    told.append(f"{error!r} {error} {error.__cause__}")
    assert told
    assert_secret_is_in_no(" ".join(told) + caplog.text)


def assert_secret_is_in_no(text: str) -> None:
    squeezed = "".join(text.split()).lower()
    for secret in (TOKEN, quote(TOKEN, safe=""), BASIC, TOKEN[:8]):
        assert secret.lower() not in squeezed


@pytest.mark.parametrize("status", [204, 301, 401, 503])
def test_secrets_in_the_query_are_sent_and_not_logged(transport_to, status, caplog):
    web = Web(response(status, f"bad {TOKEN}, {quote(TOKEN, safe='')}".encode()))
    text = ""
    with caplog.at_level(logging.DEBUG), Server(web) as server:
        transport = transport_to(f"{server.url}?p={quote(TOKEN, safe='')}")
        try:
            transport.send(b"", FOREVER)
        except (Rejected, Unavailable) as error:
            text = f"{error!r} {error}"
    assert web.requests[0].line == (f"POST /write?p={quote(TOKEN, safe='')}&db=metrics HTTP/1.1")
    assert_secret_is_in_no(text + caplog.text)
    assert ("***" in text) == (status > 204)


def test_no_repr_holds_a_secret():
    transport = Http(
        Endpoint("http", "h", 1, "/write", f"p={TOKEN}"),
        headers={"Authorization": f"Basic {BASIC}"},
        secrets=(TOKEN,),
        connect_timeout=1.0,
    )
    assert repr(transport) == "<Http POST http://h:1/write>"


def test_a_header_that_cannot_be_sent_is_refused_and_not_repeated(sending):
    with Server(Web(OK)) as server, pytest.raises(Rejected) as caught:
        sending(server, headers={"Authorization": f"{TOKEN}\n"}, secrets=(TOKEN,))
    assert_secret_is_in_no(str(caught.value))
