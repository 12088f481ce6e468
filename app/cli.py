"""The command line of the agent, and its exit codes."""

import logging
import sys
from pathlib import Path
from typing import Any

import click

from app.agent import run
from app.settings import ENV_PREFIX, Settings, SettingsError, flag_of, load

OK = 0
FAILED = 1
USAGE = 2

METAVARS = {"tick_interval": "DURATION", "run_for": "DURATION", "log_level": "LEVEL"}


def command() -> click.Command:
    """Return the command: one flag for each setting, and `--config`."""
    options: list[click.Parameter] = [
        click.Option(
            ["--config", "-c"],
            type=click.Path(path_type=Path),
            help="TOML file with any of these settings, by their names with underscores.",
        )
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, ""} else f" [default: {field.default}]"
        flag = flag_of(name)
        # A flag given twice, on and off, is how booleans are said on a command line.
        declared = f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag
        help_text = f"{field.description}{default} [{ENV_PREFIX}{name.upper()}]"
        metavar = None if field.annotation is bool else METAVARS.get(name, name.upper())
        options.append(
            click.Option([declared, name], default=None, help=help_text, metavar=metavar)
        )
    return click.Command(
        "wired-metrics",
        params=options,
        callback=lambda config, **flags: (config, flags),
        help="Measure this machine and serve the values at /metrics, /metrics.json and /healthz. "
        "A flag wins over an environment variable, which wins over the file.",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the agent and return its exit code: 0 well, 1 failed, 2 wrong use.

    Args:
        arguments: the command line without the program's name; the process' own by default.
    """
    try:
        parsed: Any = command().main(arguments, "python -m app", standalone_mode=False)
    except click.ClickException as error:
        return complain(error.format_message(), USAGE)
    if not isinstance(parsed, tuple):
        return OK  # --help has been printed
    config, flags = parsed
    try:
        settings = load({name: value for name, value in flags.items() if value is not None}, config)
    except SettingsError as error:
        return complain(str(error), USAGE)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    # The server's start and stop are logged by the lifecycle already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        leftovers = run(settings)
    except Exception as error:
        logging.getLogger(__name__).debug("the agent failed", exc_info=True)
        # An OSError without a file says its number first, which tells an operator nothing.
        plain = isinstance(error, OSError) and error.filename is None and error.strerror
        return complain(plain or str(error) or type(error).__name__, FAILED)
    return FAILED if leftovers else OK


def complain(message: str, code: int) -> int:
    """Print one line to stderr and return the exit code."""
    click.echo(f"wired-metrics: {' '.join(message.split())}", err=True)
    return code
