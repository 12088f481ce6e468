"""The agent's settings: from flags, environment variables and a TOML file, in that order."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from metrics import Registry
from metrics.options import seconds

ENV_PREFIX = "WIRED_METRICS_"


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
    """A setting is wrong; the message is one line that names it, its value and where it is from."""


class Settings(BaseSettings):
    """What an operator can set. The descriptions are the help texts of the flags."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        9464, ge=0, le=65535, description="Port to listen on; 0 picks one that is free."
    )
    tick_interval: Duration = Field(
        5.0, ge=0.01, le=3600.0, description="Time between two measurements, such as 5s."
    )
    prefix: Prefix = Field(
        "", max_length=200, description="What the names of all metrics begin with."
    )
    enabled: bool = Field(
        True, description="Whether to measure at all; when off, the pages are empty."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What to log: debug, info, warning or error."
    )
    run_for: Duration | None = Field(
        None, description="Stop after this time, such as 5s; else run until a signal comes."
    )


def load(flags: Mapping[str, object], config: Path | None) -> Settings:
    """Return validated settings: flags win over environment variables, those over the file.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong.
    """
    from_file = {} if config is None else read_toml(config)

    merged = {**from_file, **EnvSettingsSource(Settings)(), **flags}
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsError(explained(error, flags, from_file, config)) from error


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"--config: {path} is not TOML: {error}") from error


def explained(
    error: ValidationError,
    flags: Mapping[str, object],
    from_file: Mapping[str, object],
    config: Path | None,
) -> str:
    """Return one line for the first thing that is wrong, with its source."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    variable = ENV_PREFIX + name.upper()
    if name in flags:
        source = flag_of(name)
    elif any(variable == key.upper() for key in os.environ):
        source = variable
    elif name in from_file:
        source = f"{name} in {config}"
    else:
        source = name
    if first["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f"{source}: there is no such setting; there are {known}"
    reason = first["msg"].removeprefix("Value error, ")
    value = repr(first["input"])
    return f"{source}: {reason}" + ("" if value in reason else f", got {value}")


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--for" if name == "run_for" else "--" + name.replace("_", "-")
