"""The agent's settings: from flags, environment variables and a TOML file, in that order."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from app.text import printable
from metrics import Registry
from metrics.options import seconds

ENV_PREFIX = "WIRED_METRICS_"

OTHER_VARIABLES = ("WIRED_METRICS_PURE",)
"""Variables with the same prefix that are no settings: the one of `setup.py`."""

DEMO_TICK_INTERVAL = 1.0
"""Seconds between two ticks of a demonstration, unless they are set."""

LONG_WORD = re.compile(r"(\S{100})\S+")


def usable_prefix(prefix: str) -> str:
    """Return a prefix that a registry takes; raise its ValueError if it does not."""
    Registry(prefix)
    return prefix


def duration(value: object) -> float:
    """Return a duration in seconds; raise ValueError, which pydantic reports, if it is none."""
    try:
        return seconds(value, "duration")
    except TypeError as error:
        raise ValueError(str(error)) from error


Prefix = Annotated[str, AfterValidator(usable_prefix)]
Duration = Annotated[float, BeforeValidator(duration)]


class SettingsError(Exception):
    """Wrong setting; the message is one line that names it, its value and its source."""


class Settings(BaseSettings):
    """Settings of an operator. The descriptions are the help texts of the flags."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        9464, ge=0, le=65535, description="Port to listen on; 0 picks one that is free."
    )
    tick_interval: Duration = Field(
        5.0,
        ge=0.01,
        le=3600.0,
        description="Time between two measurements, such as 5s; 1s with --demo.",
    )
    prefix: Prefix = Field("", max_length=200, description="Beginning of the names of all metrics.")
    enabled: bool = Field(
        True, description="Whether to measure at all; when off, the pages are empty."
    )
    demo: bool = Field(
        False, description="Whether to serve the values of a simulated shop as well."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level to log: debug, info, warning or error."
    )
    run_for: Duration | None = Field(
        None, description="Stop after this time, such as 5s; else run until a signal comes."
    )


def load(flags: Mapping[str, object], config: Path | None) -> Settings:
    """Return validated settings: flags win over variables, and variables over the file.

    Raises:
        SettingsError: the file cannot be read, a value is wrong, or a setting does not exist.
    """
    refuse_unknown_variables()
    # pydantic-settings' own source of TOML files ignores one that is missing, and pipes.
    from_file = {} if config is None else read_toml(config)
    merged = {**from_file, **EnvSettingsSource(Settings)(), **flags}
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise SettingsError(message_of(error, flags, config)) from error
    if settings.demo and "tick_interval" not in merged:
        return settings.model_copy(update={"tick_interval": DEMO_TICK_INTERVAL})
    return settings


def refuse_unknown_variables() -> None:
    """Raise SettingsError for an environment variable that only looks like a setting."""
    known = {*map(variable_of, Settings.model_fields), *OTHER_VARIABLES}
    for variable in sorted(os.environ):
        if variable.upper().startswith(ENV_PREFIX) and variable.upper() not in known:
            name = variable[len(ENV_PREFIX) :].lower()
            raise SettingsError(one_line(f"{variable}: {unknown_setting(name, variable_of)}"))


def unknown_setting(name: str, source_of: Callable[[str], str] = str) -> str:
    """Return the reason why a name is refused: the settings there are, the closest one first."""
    close = get_close_matches(name, Settings.model_fields, 1)
    meant = "".join(f"did you mean {source_of(each)}? " for each in close)
    known = ", ".join(map(source_of, Settings.model_fields))
    return f"there is no such setting; {meant}there are {known}"


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file.

    Raises:
        SettingsError: the file cannot be read or is not TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"--config: cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise SettingsError(f"--config: {path} is not TOML: nested too deeply") from error
    except ValueError as error:
        # Of its syntax, its encoding, or an integer with more digits than Python converts.
        raise SettingsError(f"--config: {path} is not TOML: {error}") from error


def message_of(error: ValidationError, flags: Mapping[str, object], config: Path | None) -> str:
    """Return one line for the first error, with its source and value."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    if first["type"] == "extra_forbidden":
        # Flags and variables are known by their names.
        return one_line(f"{name} in {config}: {unknown_setting(name)}")
    if name in flags:
        source = flag_of(name)
    elif variable_of(name) in map(str.upper, os.environ):
        source = variable_of(name)
    else:
        source = f"{name} in {config}"
    reason = first["msg"].removeprefix("Value error, ")
    try:
        value = repr(first["input"])
    except ValueError:
        # Of an integer that a file has in hexadecimal digits.
        value = "an integer of too many digits"
    return one_line(f"{source}: {reason}" + ("" if value in reason else f", got {value}"))


def one_line(text: str) -> str:
    """Return a text in one printable line, in which words of more than 100 characters are cut."""
    return LONG_WORD.sub(lambda word: f"{word[1]}...", printable(text))


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--for" if name == "run_for" else "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()
