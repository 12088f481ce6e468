"""Settings come from flags, variables and a file, in that order, and wrong ones say where from."""

import os
from pathlib import Path

import pytest

from app.settings import ENV_PREFIX, Settings, SettingsError, load

MANY_DIGITS = "1" * 400


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path):
    def write(text: str):
        path = tmp_path / "agent.toml"
        path.write_text(text)
        return path

    return write


def test_without_any_source_the_defaults_hold():
    settings = load({}, None)
    assert (settings.host, settings.port, settings.tick_interval) == ("127.0.0.1", 9464, 5.0)
    assert settings.enabled
    assert settings.run_for is None


def test_a_flag_wins_over_a_variable_and_that_over_the_file(config, monkeypatch):
    path = config('port = 1\nhost = "::1"\nprefix = "file"\n')
    monkeypatch.setenv("WIRED_METRICS_PORT", "2")
    monkeypatch.setenv("WIRED_METRICS_HOST", "127.0.0.2")
    settings = load({"port": "3"}, path)
    assert (settings.port, settings.host, settings.prefix) == (3, "127.0.0.2", "file")


def test_durations_are_written_with_units(config, monkeypatch):
    monkeypatch.setenv("WIRED_METRICS_TICK_INTERVAL", "1m30s")
    settings = load({"run_for": "500ms"}, config("tick_interval = 2"))
    assert (settings.tick_interval, settings.run_for) == (90.0, 0.5)


@pytest.mark.parametrize(
    ("flags", "text", "variables", "message"),
    [
        ({"port": "x"}, "", {}, "--port: Input should be a valid integer"),
        ({"port": "70000"}, "", {}, "--port: Input should be less than or equal to 65535"),
        ({"run_for": "soon"}, "", {}, "--for: invalid duration 'soon': use a number of seconds"),
        ({}, "tick_interval = true", {}, r"tick_interval in .*agent.toml: invalid duration True"),
        ({}, "tick_interval = [1]", {}, r"tick_interval in .*agent.toml: invalid duration \[1\]"),
        ({}, "", {"WIRED_METRICS_RUN_FOR": ""}, "WIRED_METRICS_RUN_FOR: invalid duration ''"),
        ({}, "port = -1", {}, "port in .*agent.toml: Input should be greater"),
        ({}, "prot = 1", {}, "prot in .*agent.toml: there is no such setting"),
        ({}, "", {"WIRED_METRICS_PORT": "many"}, "WIRED_METRICS_PORT: .* got 'many'"),
        ({"log_level": "loud"}, "", {}, "--log-level: .*'debug', 'info'"),
        ({"prefix": "a b "}, "", {}, "--prefix: invalid prefix .a b .: use"),
        ({}, "port = ", {}, "--config: .* is not TOML"),
        ({}, "port = 1\nport = 2", {}, "--config: .* is not TOML"),
        ({}, f"a = {'[' * 5000}", {}, "--config: .* is not TOML: nested too deeply"),
        ({}, "demo = 2", {}, "demo in .*agent.toml: Input should be a valid boolean"),
        ({}, "", {"WIRED_METRICS_DEMO": "maybe"}, "WIRED_METRICS_DEMO: .* got 'maybe'"),
        ({"port": MANY_DIGITS}, "", {}, r"--port: .*, got '1{99}\.\.\."),
        ({"run_for": MANY_DIGITS}, "", {}, "--for: invalid duration '1"),
        ({}, "", {"WIRED_METRICS_PORT": MANY_DIGITS}, "WIRED_METRICS_PORT: .*, got '1"),
        ({}, f"port = {MANY_DIGITS}", {}, "port in .*agent.toml: Input should be less than"),
        ({}, f"enabled = {MANY_DIGITS}", {}, "enabled in .*: Input should be a valid boolean"),
        ({}, f"tick_interval = {MANY_DIGITS}", {}, "tick_interval in .*: invalid duration 1"),
        ({}, f"port = {MANY_DIGITS * 20}", {}, "--config: .* is not TOML: Exceeds the limit"),
        ({}, f"port = 0x{'f' * 5000}", {}, "port in .*, got an integer of too many digits"),
        ({}, f"tick_interval = 0x{'f' * 5000}", {}, "tick_interval in .*agent.toml: .*digits"),
        ({}, f"{'x' * 5000} = 1", {}, r"^x{100}\.\.\. in .*: there is no such setting"),
        ({}, '"a\\n\\u001b" = 1', {}, r"^a\\n\\x1b in .*agent.toml: there is no such setting"),
        (
            {},
            "prot = 1",
            {},
            "prot in .*: there is no such setting; did you mean port[?] there are",
        ),
        (
            {},
            "",
            {"WIRED_METRICS_PROT": "1"},
            (
                "^WIRED_METRICS_PROT: there is no such setting; did you mean WIRED_METRICS_PORT[?] "
                "there are WIRED_METRICS_HOST, WIRED_METRICS_PORT, "
            ),
        ),
        (
            {},
            "",
            {"wired_metrics_tickinterval": "1"},
            "did you mean WIRED_METRICS_TICK_INTERVAL[?]",
        ),
        ({}, "", {"WIRED_METRICS_": ""}, "^WIRED_METRICS_: there is no such setting; there are"),
        ({}, "", {"WIRED_METRICS_FOR": "1s"}, "^WIRED_METRICS_FOR: there is no such setting"),
        ({"port": "1"}, "", {"WIRED_METRICS_PROT": "1"}, "^WIRED_METRICS_PROT: "),
    ],
)
def test_a_wrong_value_is_one_line_with_its_source(
    flags, text, variables, message, config, monkeypatch
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as raised:
        load(flags, config(text))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot read .*: No such file"):
        load({}, tmp_path / "missing.toml")


@pytest.mark.parametrize("path", ["/", "/dev/null/x"])
def test_a_file_that_cannot_be_read_is_an_error(path):
    with pytest.raises(SettingsError, match=r"^--config: cannot read "):
        load({}, Path(path))


def test_a_pipe_is_read_as_a_file(tmp_path):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as pipe:
        pipe.write(b"port = 1\n")
        pipe.close()
        assert load({}, Path(f"/dev/fd/{reading}")).port == 1


def test_variables_have_any_case_and_others_do_not_matter(monkeypatch):
    monkeypatch.setenv("wired_metrics_port", "7")
    monkeypatch.setenv("WIRED_METRICS_PURE", "1")
    monkeypatch.setenv("WIRED_METRIC", "1")
    assert load({}, None).port == 7


@pytest.mark.parametrize("source", ["flag", "variable", "file"])
def test_a_demonstration_is_switched_on_from_any_source(source, config, monkeypatch):
    if source == "variable":
        monkeypatch.setenv("WIRED_METRICS_DEMO", "yes")
    settings = load(
        {"demo": True} if source == "flag" else {},
        config("demo = true" if source == "file" else ""),
    )
    assert (settings.demo, settings.tick_interval) == (True, 1.0)


@pytest.mark.parametrize("source", ["flag", "variable", "file"])
def test_a_demonstration_has_the_tick_interval_that_is_set(source, config, monkeypatch):
    if source == "variable":
        monkeypatch.setenv("WIRED_METRICS_TICK_INTERVAL", "5s")
    settings = load(
        {"demo": "on"} | ({"tick_interval": "5s"} if source == "flag" else {}),
        config('tick_interval = "5s"' if source == "file" else ""),
    )
    assert settings.tick_interval == 5.0


def test_no_demonstration_has_the_usual_tick_interval():
    assert not load({}, None).demo
    assert load({"demo": False}, None).tick_interval == Settings().tick_interval == 5.0
