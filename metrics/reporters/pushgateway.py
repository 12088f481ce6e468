"""Reports to a Prometheus Pushgateway, for jobs that end before they are scraped.

Its interface: https://github.com/prometheus/pushgateway#api
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Unpack
from urllib.parse import quote

from metrics.exporters import prometheus
from metrics.instruments._inner import checked_labelnames
from metrics.registry import Registry
from metrics.reporters._push.options import HttpOptions, Option, chosen, list_options
from metrics.reporters._push.payloads import Reading
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import basic, require


@list_options(HttpOptions, buffered=Option(1, "no effect: only the newest values are kept"))
def http(
    registry: Registry,
    url: str,
    job: str,
    grouping: Mapping[str, str] | None = None,
    *,
    username: str | None = None,
    password: str | None = None,
    **options: Unpack[HttpOptions],
) -> AbstractContextManager[Reporter]:
    """Push a registry to a Pushgateway once an interval and in the end.

    Every push replaces what the gateway has of the group, which stays there after the end. Only the
    newest values are kept for a gateway that is away.

    Args:
        registry: what to push.
        url: the gateway's, `http://127.0.0.1:9091`.
        job: what Prometheus will call the job.
        grouping: further labels that tell the group from others, such as `instance`.
        username: for basic authentication.
        password: for basic authentication.
        options: see below.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    endpoint = endpoint_of(require("url", url)).at(
        group_path(require("job", job), chosen(grouping, {}))
    )
    credentials = basic(username, password)
    headers = {"Content-Type": prometheus.CONTENT_TYPE, **credentials.headers}
    request = Request(endpoint, headers, credentials.secrets, method="PUT")
    options["buffered"] = 1

    def read(reading: Reading) -> Iterator[bytes]:
        yield prometheus.render(registry, reader=reading.reader)

    return posting(registry, "pushgateway", read, request, options)


def group_path(job: str, grouping: Mapping[str, str]) -> str:
    """Return the path of a group: its labels and their values, the awkward ones in base64.

    Raises:
        TypeError, ValueError: a label is malformed, or given twice.
    """
    if not isinstance(grouping, Mapping):
        raise TypeError(f"grouping is a mapping of str to str, got {grouping!r}")
    if "job" in grouping:
        raise ValueError("grouping holds 'job', which is an option of its own")
    labels = {"job": job, **grouping}
    checked_labelnames(labels)
    return "/metrics" + "".join([segment(name, value) for name, value in labels.items()])


def segment(name: str, value: str) -> str:
    """Return the part of a path that a label takes."""
    if not isinstance(value, str):
        raise TypeError(f"the label {name!r} of the group takes a str, got {value!r}")
    # Dots alone would lead to another path.
    if "/" not in value and value.strip("."):
        return f"/{name}/{quote(value, safe='')}"
    # An empty value is written as a lone sign of padding.
    encoded = urlsafe_b64encode(value.encode()).decode().rstrip("=") or "="
    return f"/{name}@base64/{encoded}"
