"""Options of reporters: defaults, checks, and the signatures that list them."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, NamedTuple, ParamSpec, TypedDict, TypeVar, get_type_hints

from metrics.clock import Clock
from metrics.options import labels, seconds
from metrics.registry import Registry
from metrics.reporters._push.reporter import BUFFERED, BUFFERED_BYTES, INTERVAL, TIMEOUT

CONNECT_TIMEOUT = 3.0
"""Default time limit of a connection, in seconds."""

NO_LABELS: Mapping[str, str] = MappingProxyType({})

P = ParamSpec("P")
T = TypeVar("T")


class Option(NamedTuple):
    """Default and description of an option."""

    default: object
    description: str


SHARED = {
    "registry": Option(None, "the registry to report"),
    "host": Option(None, "the host name or address of the server"),
    "port": Option(None, "its port"),
    "name": Option(
        None, "name in the log and in `reporter/<name>/sent`; the destination's if None"
    ),
    "interval": Option(INTERVAL, 'seconds between two reports, or a duration such as "1m30s"'),
    "timeout": Option(TIMEOUT, "seconds one delivery may take, or a duration"),
    "buffered": Option(BUFFERED, "number of payloads kept for a server that is unavailable"),
    "buffered_bytes": Option(BUFFERED_BYTES, "bytes kept for it, all payloads together"),
    "clock": Option(None, "source of time; the registry's if None"),
    "connect_timeout": Option(CONNECT_TIMEOUT, "seconds a connection may take, or a duration"),
    "compress": Option(True, "whether payloads are compressed with gzip"),
    "ca_file": Option(None, "path of the trusted certificates, in PEM; the system's if None"),
    "client_cert": Option(None, "path of the client's certificate, in PEM"),
    "client_key": Option(None, "path of its private key, unless that is in `client_cert`"),
    "proxy": Option(
        None, "URL of an http or https proxy, such as `http://user:password@proxy.example:3128`"
    ),
    "trust_env": Option(
        False,
        "whether `https_proxy`, `http_proxy`, `no_proxy` (or in upper case) and `SSL_CERT_FILE` "
        "are used; no other environment variable is",
    ),
    "namespace": Option("", "prefix of all names"),
    "labels": Option(
        NO_LABELS,
        'labels of every series that has no label of the same name: a mapping, or "zone=eu,rack=7"',
    ),
}
"""Arguments and options of several destinations; arguments have the defaults of their hooks."""


class Options(TypedDict, total=False):
    """Options of every reporter; None, as in a configuration file, stands for the default."""

    name: str | None
    interval: float | str | None
    timeout: float | str | None
    buffered: int | None
    buffered_bytes: int | None
    clock: Clock | None


class ConnectionOptions(Options, total=False):
    """Options of a reporter that keeps a connection."""

    connect_timeout: float | str | None


class HttpOptions(ConnectionOptions, total=False):
    """Options of a reporter over HTTP."""

    compress: bool | None
    ca_file: str | None
    client_cert: str | None
    client_key: str | None
    proxy: str | None
    trust_env: bool | str | None


def list_options(accepted: type, **own: Option) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a hook: its signature and its docstring list its options one by one.

    A docstring without arguments and errors gets the ones of all such hooks. The hook is
    called with known options alone, and with its own defaults for options that are None or left
    out.

    Args:
        accepted: `Options` or a class derived from it, which the hook takes as `**options`.
        own: options of this destination alone, and options with another default; and arguments with
            another description.
    """
    known = {**SHARED, **own}
    types = get_type_hints(accepted)
    keywords = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=known[name].default, annotation=annotation
        )
        for name, annotation in types.items()
    ]

    def decorate(hook: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(hook)
        arguments = list(signature.parameters.values())[:-1]
        named = [argument.name for argument in arguments]

        @wraps(hook)
        def checked(*args: P.args, **options: P.kwargs) -> T:
            check_known(options.keys() - set(named), types)
            for name, option in own.items():
                if name in types and options.get(name) is None:
                    options[name] = option.default
            return hook(*args, **options)

        vars(checked)["__signature__"] = signature.replace(parameters=[*arguments, *keywords])
        texts = [inspect.cleandoc(hook.__doc__ or "")]
        if "\nArgs:\n" not in texts[0]:
            texts.append(section("Args", named, known))
            texts.append("Raises:\n    TypeError, ValueError: an option is malformed.")
        texts.append(section("Options", types, known))
        checked.__doc__ = "\n\n".join(texts) + "\n"
        return checked

    return decorate


def section(title: str, names: Iterable[str], known: Mapping[str, Option]) -> str:
    """Return the section of a docstring that describes arguments or options."""
    return "\n".join([f"{title}:", *[f"    {name}: {known[name].description}." for name in names]])


def check_known(names: Collection[str], known: Collection[str]) -> None:
    """Raise TypeError for an unknown option."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise TypeError(
            f"unknown option {unknown[0]!r}; the options are {', '.join(sorted(known))}"
        )


def exporter_options(options: Options, *names: str) -> dict[str, Any]:
    """Return options as the exporter has them, with its defaults for options that are None.

    Args:
        options: the options of the reporter.
        names: the options that the exporter has under the same name; `labels` are its `tags`.

    Raises:
        TypeError, ValueError: `labels` is malformed.
    """
    values: Mapping[str, Any] = options
    found = {name: values[name] for name in names if values.get(name) is not None}
    if "labels" in found:
        found["tags"] = constant_labels(found.pop("labels"))
    return found


def constant_labels(value: Mapping[str, str] | str | None) -> dict[str, str]:
    """Return the option `labels` as a mapping; raise TypeError or ValueError if it is malformed."""
    found = labels(value, "labels")
    if "" in found:
        raise ValueError(f"invalid labels {value!r}: use names that are not empty")
    return found


def checked_name(name: str | None, default: str) -> str:
    """Return the name of a reporter; raise TypeError or ValueError if it is malformed."""
    if name is None:
        return default
    if not isinstance(name, str):
        raise TypeError(f"invalid name {name!r}: use a str")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"invalid name {name!r}: use printable characters without leading or trailing "
            "whitespace"
        )
    return name


def checked_bool(option: str, value: object) -> bool:
    """Return an option that is on unless it is False; raise TypeError if it is no bool."""
    if value is None or isinstance(value, bool):
        return value is not False
    raise TypeError(f"invalid {option} {value!r}: use True or False")


def chosen(value: T | None, default: T) -> T:
    """Return an option, or its default if a configuration left it out."""
    return default if value is None else value


def clock_of(registry: Registry, options: Options) -> Clock:
    """Return the source of time of a reporter: the option, or else the registry's clock."""
    return chosen(options.get("clock"), registry.clock)


def connect_timeout(options: ConnectionOptions) -> float:
    """Return the time limit of a connection, in seconds."""
    return seconds(options.get("connect_timeout"), "connect_timeout", CONNECT_TIMEOUT)
