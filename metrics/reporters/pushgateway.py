"""Reports to a Prometheus Pushgateway, for jobs that end before they are scraped.

Its interface: https://github.com/prometheus/pushgateway#api
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from logging import getLogger
from typing import Unpack, final
from urllib.parse import quote

from metrics.exporters import prometheus
from metrics.instruments._inner import checked_labelnames
from metrics.options import boolean, seconds
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.options import HttpOptions, Option, chosen, list_options
from metrics.reporters._push.payloads import Report
from metrics.reporters._push.posting import Request, http_transport, posting
from metrics.reporters._push.reporter import TIMEOUT, Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.http import Http
from metrics.reporters._transports.secrets import basic, require
from metrics.reporters._transports.transport import Rejected, Unavailable

logger = getLogger(__name__)

LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"')
"""A label of a sample and its value, in Prometheus' text format."""


@list_options(HttpOptions, buffered=Option(1, "no effect: only the newest values are kept"))
def http(
    registry: Registry,
    url: str,
    job: str,
    grouping: Mapping[str, str] | None = None,
    *,
    add: bool = False,
    delete_at_end: bool = False,
    username: str | None = None,
    password: str | None = None,
    **options: Unpack[HttpOptions],
) -> AbstractContextManager[Reporter]:
    """Push a registry to a Pushgateway once an interval and at the end.

    Each push replaces all metrics of the group, which stays at the gateway after the end. Only the
    newest values are kept for a gateway that does not answer.

    A label of a series that is `job` or another label of the group is renamed, as Prometheus does
    when it scrapes: `job` to `exported_job`. The gateway would override it, and refuse series that
    differ in that label alone. A warning is logged once for each label.

    For example:

        with pushgateway.http(registry, "http://127.0.0.1:9091", "backup", delete_at_end=True):
            ...

    Args:
        registry: the pushed registry.
        url: the URL of the gateway, `http://127.0.0.1:9091`.
        job: the value of the label `job`.
        grouping: further labels of the group, such as `instance`.
        add: whether a push replaces the metrics of the same names alone (POST), and leaves the
            others, which another program may have pushed to the group.
        delete_at_end: whether the group is deleted after the last push, within the time of the
            stop. A group that cannot be deleted then stays, which is logged. It also stays when the
            process is killed, or if other processes go on pushing its total.
        username: for basic authentication.
        password: for basic authentication.
        options: see below.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    groups = chosen(grouping, {})
    endpoint = endpoint_of(require("url", url)).at(group_path(require("job", job), groups))
    request = Request(
        endpoint,
        {"Content-Type": prometheus.CONTENT_TYPE},
        basic(username, password),
        method="POST" if boolean(add, "add", default=False) else "PUT",
    )
    options["buffered"] = 1
    name = chosen(options.get("name"), "pushgateway")
    transport = None
    if boolean(delete_at_end, "delete_at_end", default=False):
        deletion = request._replace(method="DELETE", headers={})
        transport = TemporaryGroup(
            name,
            http_transport(registry, "pushgateway", request, options),
            http_transport(registry, "pushgateway", deletion, {**options, "compress": False}),
            seconds(options.get("timeout"), "timeout", TIMEOUT),
            store_of(registry).is_continued,
        )
    labels = LabelRenaming(name, {"job", *groups})

    def read(report: Report) -> Iterator[bytes]:
        yield labels.rename(prometheus.render(registry, reader=report.reader))

    return posting(registry, "pushgateway", read, request, options, transport=transport)


@final
class TemporaryGroup:
    """Transport of pushes to a group that is deleted when the transport is closed.

    Args:
        name: the name of the reporter, for the log.
        pushes: delivers the pushes.
        deletion: deletes the group.
        seconds: the longest time of the deletion, unless it is aborted before.
        is_continued: returns whether another process goes on pushing to the group.
    """

    def __init__(
        self,
        name: str,
        pushes: Http,
        deletion: Http,
        seconds: float,
        is_continued: Callable[[], bool],
    ) -> None:
        self._name = name
        self._pushes = pushes
        self._deletion = deletion
        self._seconds = seconds
        self._is_continued = is_continued
        self._aborted = False

    @property
    def target(self) -> str:
        """The address of the group."""
        return self._pushes.target

    def send(self, payload: bytes, timeout: float) -> None:
        """Push a payload within `timeout` seconds.

        Raises:
            Unavailable: the gateway may take it later.
            Rejected: the gateway refuses it.
        """
        self._aborted = False
        self._pushes.send(payload, timeout)

    def abort(self) -> None:
        """Make a push or the deletion in another thread fail at once."""
        self._aborted = True
        self._pushes.abort()
        self._deletion.abort()

    def close(self) -> None:
        """Delete the group, and close the connections."""
        self._pushes.close()
        try:
            if self._aborted:
                raise Unavailable("the time of the stop was over")  # noqa: TRY301 - logged as others
            if not self._is_continued():
                self._deletion.send(b"", self._seconds)
        except (Unavailable, Rejected) as error:
            logger.error("%s did not delete its group, which stays: %s", self._name, error)
        finally:
            self._deletion.close()

    def abandon(self) -> None:
        """Close the descriptors in a forked process; the parent deletes the group."""
        self._aborted = False
        self._pushes.abandon()
        self._deletion.abandon()


@final
class LabelRenaming:
    """Labels of series renamed where the group has the same ones, as Prometheus does in a scrape.

    Args:
        name: the name of the reporter, for the log.
        reserved: the labels of the group.
    """

    def __init__(self, name: str, reserved: Collection[str]) -> None:
        self._name = name
        self._reserved = frozenset(label.encode() for label in reserved)
        self._logged: set[bytes] = set()

    def rename(self, page: bytes) -> bytes:
        """Return a page in Prometheus' text format without the labels of the group."""
        if not self._is_in(page):
            return page
        # Not `splitlines`: the value of a label may have a carriage return.
        return b"\n".join(
            [
                self._rename_line(line) if self._is_in(line) and not line.startswith(b"#") else line
                for line in page.split(b"\n")
            ]
        )

    def _is_in(self, text: bytes) -> bool:
        """Return whether a text may have a label of the group."""
        return any(label + b'="' in text for label in self._reserved)

    def _rename_line(self, line: bytes) -> bytes:
        present = {match[1] for match in LABEL.finditer(line)}

        def exported(match: re.Match[bytes]) -> bytes:
            label = match[1]
            if label not in self._reserved:
                return match[0]
            name = b"exported_" + label
            while name in present or name in self._reserved:
                name = b"exported_" + name
            self._log(line, label, name)
            return name + match[0].removeprefix(label)

        return LABEL.sub(exported, line)

    def _log(self, line: bytes, label: bytes, name: bytes) -> None:
        if label in self._logged:
            return
        self._logged.add(label)
        logger.warning(
            "%s: label %r of %s is also a label of the group; it is pushed as %r, here and in "
            "other series",
            self._name,
            label.decode(),
            line.partition(b"{")[0].decode(),
            name.decode(),
        )


def group_path(job: str, grouping: Mapping[str, str]) -> str:
    """Return the path of a group: its labels and values, in base64 where a path cannot hold them.

    Raises:
        TypeError, ValueError: a label is malformed, repeated or reserved.
    """
    if not isinstance(grouping, Mapping):
        raise TypeError(f"invalid grouping {grouping!r}: use a mapping of str to str")
    if "job" in grouping:
        raise ValueError("grouping holds 'job', which is an option of its own")
    labels = {"job": job, **grouping}
    checked_labelnames(labels, dots=False)
    return "/metrics" + "".join([path_segment(name, value) for name, value in labels.items()])


def path_segment(name: str, value: str) -> str:
    """Return the segment of a path for one label of a group."""
    if not isinstance(value, str):
        raise TypeError(f"invalid value {value!r} of {name!r} in grouping: use a str")
    # A segment of dots alone would lead to another path.
    if "/" not in value and value.strip("."):
        return f"/{name}/{quote(value, safe='')}"
    # The gateway reads a single padding character as an empty value.
    encoded = urlsafe_b64encode(value.encode()).decode().rstrip("=") or "="
    return f"/{name}@base64/{encoded}"
