"""The command line of the agent and of its terminal programs, and their exit codes."""

import asyncio
import logging
import os
import sys
from pathlib import Path

import click

from app.agent import run_agent
from app.settings import Settings, SettingsError, flag_of, load, variable_of
from app.text import printable
from metrics._version import library_version
from metrics.options import seconds

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""Exit code of a command that SIGINT ended, as shells have it."""

METAVARS = {"tick_interval": "DURATION", "run_for": "DURATION", "log_level": "LEVEL"}

SHORTEST_INTERVAL = 0.1
LONGEST_INTERVAL = 3600.0

AGENT_HELP = """
Measure this machine and serve the values at /metrics, /metrics.json and /healthz, until a signal
comes.

A flag wins over an environment variable, which wins over the file. The commands below show the
values of this agent, or of any other server that Prometheus can scrape.
"""

URL_HELP = """

URL is a page in Prometheus' text format or in OpenMetrics, by default the agent's own,
http://127.0.0.1:9464/metrics. A URL without a scheme gets http://, one without a path /metrics.
"""

SCRAPE_HELP = f"""
Print the series of an exposition page, by name.
{URL_HELP}
The value of a histogram or summary is the number of its observations, beside their mean and
quantiles. A summary has quantiles of its own; a histogram's are of all observations since
the start of its program, estimated from its buckets as PromQL's histogram_quantile does.

A read fails after 10 seconds, 16 MiB or 5 redirects. Exit codes: 0 printed, 1 the page cannot be
read, 2 wrong use.
"""

TOP_HELP = f"""
Show the series of an exposition page live, with their rates of change.
{URL_HELP}
Keys: / filters, s changes the sort (rate, name, value), Enter opens a series, p pauses, q quits.

Counters are shown with their rate per second; histograms and summaries with the rate of
observations and p50, p95 and p99. The quantiles of a histogram are of the last 30 readings,
estimated from its buckets as PromQL's histogram_quantile does. At most 5,000 series are shown, with
a history of 120 readings.
"""


def complete_url(context: click.Context, _: click.Parameter, value: str) -> str:
    """Return the URL of a page; raise UsageError if the argument is none."""
    # All that reads pages takes longer to import than the agent.
    from app.endpoint import page_url  # noqa: PLC0415

    try:
        return page_url(value)
    except ValueError as error:
        raise click.UsageError(str(error), context) from error


def checked_interval(context: click.Context, _: click.Parameter, value: str) -> float:
    """Return a duration in seconds; raise UsageError if it is none, or too short."""
    try:
        interval = seconds(value, "interval")
    except ValueError as error:
        raise click.UsageError(f"--interval: {error}", context) from error
    if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        limits = f"{SHORTEST_INTERVAL:g}s to {LONGEST_INTERVAL:g}s"
        raise click.UsageError(f"--interval: invalid interval {value!r}: use {limits}", context)
    return interval


url_argument = click.argument("url", default="127.0.0.1:9464", callback=complete_url)


@click.command(help=SCRAPE_HELP, short_help="Print the series of a metrics page as a table.")
@url_argument
@click.option("--raw", is_flag=True, help="Print numbers to the last digit, without units.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with help texts and units.")
@click.option(
    "--filter",
    "words",
    default="",
    metavar="TEXT",
    help="Print only series whose name and labels contain each of these words.",
)
def scrape(url: str, words: str, *, raw: bool, as_json: bool) -> int:
    """Print the series of a page; return the exit code."""
    from app.endpoint import EndpointError, displayed_url, read  # noqa: PLC0415 - as above
    from app.scrape import print_json, print_table  # noqa: PLC0415
    from app.series import matches, parse  # noqa: PLC0415

    try:
        found = [series for series in parse(asyncio.run(read(url))) if matches(series, words)]
    except EndpointError as error:
        return complain(f"cannot read {displayed_url(url)}: {error}", FAILED)
    # A terminal of another alphabet shows escapes.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        print_json(found) if as_json else print_table(found, raw=raw)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has enough. The interpreter flushes again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


@click.command(help=TOP_HELP, short_help="Show the series of a metrics page live.")
@url_argument
@click.option(
    "--interval",
    callback=checked_interval,
    default="2s",
    metavar="DURATION",
    show_default=True,
    help="Time between two readings, such as 500ms.",
)
def top(url: str, interval: float) -> int:
    """Show a page live; return the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return complain("top needs a terminal: use `python -m app scrape` for a table", USAGE)
    from app.top import Top  # noqa: PLC0415 - takes longer to import than the agent

    shown = Top(url, interval)
    shown.run()
    return shown.return_code or OK


def print_version(context: click.Context, _: click.Parameter, requested: bool) -> None:
    """Print the version of the installed library and exit, if that is requested."""
    if requested:
        click.echo(f"wired-metrics {library_version() or '(a checkout that is not installed)'}")
        context.exit()


def command() -> click.Group:
    """Return the command: the agent with one flag for each setting, `scrape` and `top`."""
    options: list[click.Parameter] = [
        click.Option(
            ["--config", "-c"],
            type=click.Path(path_type=Path),
            help="TOML file with any of these settings, by their names with underscores.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=print_version,
            help="Print the version and exit.",
        ),
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, "", False} else f" [default: {field.default}]"
        flag = flag_of(name)
        # A flag given twice, on and off, is how booleans are said on a command line.
        declared = f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag
        help_text = f"{field.description}{default} [{variable_of(name)}]"
        metavar = None if field.annotation is bool else METAVARS.get(name, name.upper())
        options.append(
            click.Option([declared, name], default=None, help=help_text, metavar=metavar)
        )
    return click.Group(
        "wired-metrics",
        params=options,
        commands={"scrape": scrape, "top": top},
        callback=click.pass_context(serve),
        invoke_without_command=True,
        subcommand_metavar="[COMMAND]",
        help=AGENT_HELP,
    )


def serve(context: click.Context, config: Path | None, **flags: object) -> int:
    """Run the agent, unless another command follows; return its exit code."""
    given = {name: value for name, value in flags.items() if value is not None}
    if context.invoked_subcommand is not None:
        if given or config:
            flag, name = flag_of(next(iter(given), "config")), context.invoked_subcommand
            raise click.UsageError(f"{flag} is an option of the agent: leave it out before {name}")
        return OK
    settings = load(given, config)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    # The server's start and stop are logged by the lifecycle already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        clean = run_agent(settings)
    except Exception as error:
        logging.getLogger(__name__).debug("the agent failed", exc_info=True)
        # An OSError without a file says its number first, which does not help an operator.
        plain = isinstance(error, OSError) and error.filename is None and error.strerror
        return complain(plain or str(error) or type(error).__name__, FAILED)
    return OK if clean else FAILED


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 well, 1 failed, 2 wrong use.

    Args:
        arguments: the command line without the program's name; the process' own by default.
    """
    try:
        code: int = command().main(arguments, "python -m app", standalone_mode=False)
    except click.ClickException as error:
        return complain(error.format_message(), USAGE)
    except SettingsError as error:
        return complain(str(error), USAGE)
    except click.Abort:
        return INTERRUPTED
    return code


def complain(message: str, code: int) -> int:
    """Print one line to stderr and return the exit code."""
    click.echo(f"wired-metrics: {printable(' '.join(message.split()))}", err=True)
    return code
