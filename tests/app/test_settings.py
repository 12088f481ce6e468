"""Settings come from flags, variables and a file, in that order, and wrong ones say where from."""

import pytest

from app.settings import SettingsError, load


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("PORT", "HOST", "TICK_INTERVAL", "PREFIX", "ENABLED", "LOG_LEVEL", "RUN_FOR"):
        monkeypatch.delenv(f"WIRED_METRICS_{name}", raising=False)


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
    ],
)
def test_a_wrong_value_is_one_line_with_its_source(
    flags, text, variables, message, config, monkeypatch
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as raised:
        load(flags, config(text))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot read .*: No such file"):
        load({}, tmp_path / "missing.toml")
