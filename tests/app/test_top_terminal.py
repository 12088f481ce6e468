"""`python -m app top` in a terminal, from its first screen to the shell's prompt."""

import signal
from collections.abc import Iterator
from itertools import count

import pytest

from tests.app.endpoints import Handler
from tests.app.terminal import Terminal

pytestmark = pytest.mark.slow(reason="starts the agent in a terminal")

HOSTILE = r"\x1b[2J"


@pytest.fixture
def terminal() -> Iterator:
    started: list[Terminal] = []

    def start(*arguments: str, **size: int) -> Terminal:
        started.append(Terminal(*arguments, **size))
        return started[-1]

    yield start
    for one in started:
        one.close()


def shop():
    """A page whose counter has grown by 10 at each request."""
    numbers = count(10, 10)

    def respond(handler: Handler) -> None:
        handler.answer(
            "# HELP apples_total Apples\x1b[2J sold\n# TYPE apples_total counter\n"
            f'apples_total{{kind="red\x1b[2J"}} {next(numbers)}\n'
            "# TYPE basket_bytes gauge\nbasket_bytes 2048\n"
            "# TYPE zebras gauge\nzebras 4096\n"
        )

    return respond


def test_a_session(endpoint, terminal):
    server = endpoint(shop())
    top = terminal("top", server.url, "--interval", "200ms")
    top.until("3 series")
    top.until(lambda: top.lines[3].startswith(f'apples_total{{kind="red{HOSTILE}"}}'))
    top.until(lambda: "▁" in top.lines[3] or "█" in top.lines[3])
    assert top.lines[0].startswith(server.url)
    assert top.lines[1].endswith("sorted by rate")
    assert " ".join(top.lines[2].split()) == "NAME VALUE or p50 p95 p99 PER SECOND TREND"
    assert "2 KiB" in top.text
    assert top.lines[-1].split()[1::2] == ["Open", "Filter", "Sort", "Pause", "Quit"]

    top.press("/zeb")
    top.until("1 of 3 series")
    assert "apples" not in top.text
    top.press("\x1b")
    top.until(lambda: "apples" in top.text)

    top.press("ss")
    top.until("sorted by value")
    top.until(lambda: top.lines[3].startswith("zebras"))
    top.press("s")
    top.until(lambda: top.lines[3].startswith("apples"))

    top.press("\r")
    top.until("Change per second")
    assert f"Apples{HOSTILE} sold" in top.text
    top.press("\x1b")
    top.until("PER SECOND")

    top.press("p")
    top.until("paused")
    top.press("p")
    top.until("every 200 ms")

    server.close()
    top.until("Connection refused (since")
    assert "basket_bytes" in top.text
    endpoint(shop(), server.port)
    top.until("3 series")

    top.press("q")
    assert top.wait() == 0
    assert top.is_restored
    assert b"Traceback" not in top.output


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, "\x03"], ids=["TERM", "INT", "^C"])
def test_however_it_ends_the_terminal_is_as_it_was(endpoint, terminal, end):
    top = terminal("top", endpoint(shop()).url, columns=160, lines=50)
    top.until("3 series")
    top.press("/apples")
    top.until("1 of 3 series")
    if isinstance(end, str):
        top.press(end)
    else:
        top.process.send_signal(end)
    assert top.wait() == 0
    assert top.is_restored


def test_a_server_that_hangs_does_not_delay_the_end(endpoint, terminal):
    server = endpoint(lambda handler: handler.server.stopping.wait())
    top = terminal("top", server.url)
    top.until(lambda: server.requests)
    top.until("reading")
    top.press("q")
    assert top.wait() == 0
    assert top.is_restored


def test_the_table_of_scrape_is_folded_to_the_terminal(endpoint, terminal):
    words = " ".join(["word"] * 30)
    scrape = terminal(
        "scrape", endpoint(f'g_bytes{{a="{words}",b="{"x" * 90}\x1b[2J"}} 2048\n').url
    )
    assert scrape.wait() == 0
    assert scrape.lines[0].split() == ["NAME", "TYPE", "VALUE"]
    assert scrape.text.count("word") == 30
    assert scrape.text.count("x") == 91
    assert "2 KiB" in scrape.text
