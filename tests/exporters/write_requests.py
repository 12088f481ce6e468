"""Requests of remote write as the official classes read them, and their expected contents."""

from typing import NamedTuple

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from prometheus_client.parser import text_string_to_metric_families

from metrics import Registry
from metrics.exporters import prometheus

FIELD = descriptor_pb2.FieldDescriptorProto

MESSAGES = {
    "Label": [("name", 1, FIELD.TYPE_STRING, ""), ("value", 2, FIELD.TYPE_STRING, "")],
    "Sample": [("value", 1, FIELD.TYPE_DOUBLE, ""), ("timestamp", 2, FIELD.TYPE_INT64, "")],
    "TimeSeries": [
        ("labels", 1, FIELD.TYPE_MESSAGE, "Label"),
        ("samples", 2, FIELD.TYPE_MESSAGE, "Sample"),
        ("exemplars", 3, FIELD.TYPE_MESSAGE, "Exemplar"),
    ],
    "Exemplar": [
        ("labels", 1, FIELD.TYPE_MESSAGE, "Label"),
        ("value", 2, FIELD.TYPE_DOUBLE, ""),
        ("timestamp", 3, FIELD.TYPE_INT64, ""),
    ],
    "MetricMetadata": [
        ("type", 1, FIELD.TYPE_INT32, ""),
        ("metric_family_name", 2, FIELD.TYPE_STRING, ""),
        ("help", 4, FIELD.TYPE_STRING, ""),
        ("unit", 5, FIELD.TYPE_STRING, ""),
    ],
    "WriteRequest": [
        ("timeseries", 1, FIELD.TYPE_MESSAGE, "TimeSeries"),
        ("metadata", 3, FIELD.TYPE_MESSAGE, "MetricMetadata"),
    ],
}
"""The fields of the messages: name, number, type and the message in it."""


class Described(NamedTuple):
    kind: int
    help: str
    unit: str


class Sent(NamedTuple):
    labels: tuple[tuple[str, str], ...]
    value: float
    timestamp_ms: int

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        held = dict(self.labels)
        return held.pop("__name__"), frozenset(held.items())


def write_request():
    """Return the class that reads a request."""
    file = descriptor_pb2.FileDescriptorProto(
        name="write.proto", package="prometheus", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, inner in fields:
            label = FIELD.LABEL_REPEATED if inner else FIELD.LABEL_OPTIONAL
            type_name = f".prometheus.{inner}" if inner else None
            message.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = write_request()


def message_of(request: bytes):
    """Return a request as the official class; fail for fields that the format does not have."""
    message = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(request)))
    size = message.ByteSize()
    message.DiscardUnknownFields()
    assert message.ByteSize() == size
    return message


def metadata(request: bytes) -> dict[str, Described]:
    """Return the metadata of a request by metric family, of which each is there once."""
    found = message_of(request).metadata
    by_name = {one.metric_family_name: Described(one.type, one.help, one.unit) for one in found}
    assert len(by_name) == len(found)
    return by_name


def read(request: bytes) -> list[Sent]:
    """Return the samples of a request."""
    found = []
    for series in message_of(request).timeseries:
        (sample,) = series.samples
        labels = tuple((label.name, label.value) for label in series.labels)
        names = [name for name, _ in labels]
        assert names == sorted(set(names)), names
        assert all(value for _, value in labels), labels
        found.append(Sent(labels, sample.value, sample.timestamp))
    return found


def exemplars(request: bytes) -> dict[object, Sent]:
    """Return the exemplars of a request, by `Sent.key` of their series."""
    found = {}
    for series in message_of(request).timeseries:
        for one in series.exemplars:
            labels = tuple((label.name, label.value) for label in series.labels)
            own = tuple((label.name, label.value) for label in one.labels)
            assert own == tuple(sorted(own))
            key = Sent(labels, 0.0, 0).key
            assert key not in found
            found[key] = Sent(own, one.value, one.timestamp)
    return found


def page(registry: Registry, reader: str = "prometheus") -> dict[object, float]:
    """Return the samples of the text page, as the official parser reads them, by `Sent.key`."""
    text = prometheus.render(registry, reader=reader).decode()
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
