"""Each level of the command line explains itself, and wrong use is one line with exit code 2."""

import pytest

from app.cli import main
from tests.processes import free_port


def complaint(capsys, *arguments: str) -> str:
    assert main([*arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("wired-metrics: ").rstrip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["scrape", "top", "--demo", "WIRED_METRICS_DEMO", "[COMMAND]"]),
        (["scrape"], ["--raw", "--filter", "--json", "histogram_quantile", "16 MiB", "/metrics"]),
        (["top"], ["--interval", "2s", "p pauses", "5,000 series", "120 readings", "last 30"]),
    ],
)
def test_help_is_there_at_each_level(capsys, arguments, words):
    assert main([*arguments, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for word in words:
        assert word in out


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("7.8.9", "wired-metrics 7.8.9\n"),
        ("", "wired-metrics (a checkout that is not installed)\n"),
    ],
)
def test_the_version_is_that_of_the_library(capsys, monkeypatch, version, line):
    monkeypatch.setattr("app.cli.library_version", lambda: version)
    # It needs no valid settings, as it starts nothing.
    monkeypatch.setenv("WIRED_METRICS_PROT", "1")
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (line, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tpo"], "No such command 'tpo'"),
        (["--port", "1", "top"], "--port is an option of the agent: leave it out before top"),
        (["--for", "1s", "scrape"], "--for is an option of the agent: leave it out before scrape"),
        (["-c", "x.toml", "top"], "--config is an option of the agent"),
        (["--no-demo", "top"], "--demo is an option of the agent"),
        (["scrape", "a", "b"], "Got unexpected extra argument"),
        (["scrape", "ftp://host"], "invalid URL 'ftp://host': use a URL such as http://127.0.0.1"),
        (["top", "host:99999"], "invalid URL 'host:99999': "),
        (["top", "--interval", "soon"], "--interval: invalid interval 'soon': use a number"),
        (["top", "--interval", "1ms"], "--interval: invalid interval '1ms': use 0.1s to 3600s"),
        (["top", "--interval", "2h"], "--interval: invalid interval '2h': use 0.1s to 3600s"),
        (["top"], "top needs a terminal: use `python -m app scrape` for a table"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, message):
    assert complaint(capsys, *arguments).startswith(message)


def test_the_default_url_is_the_agents_own(capsys):
    # Whether an agent runs on this machine or not.
    assert main(["scrape", "--filter", "no such series"]) in {0, 1}
    err = capsys.readouterr().err
    assert not err or "cannot read http://127.0.0.1:9464/metrics: " in err


def test_variables_of_the_agent_do_not_matter_to_the_commands(capsys, monkeypatch):
    monkeypatch.setenv("WIRED_METRICS_PROT", "1")
    assert main(["scrape", f"127.0.0.1:{free_port()}"]) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_a_complaint_does_no_harm_to_a_terminal(capsys):
    assert main(["--host\x1b[2J"]) == 2
    assert r"\x1b[2J" in capsys.readouterr().err
