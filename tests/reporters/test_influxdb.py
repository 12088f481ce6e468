import logging
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from metrics import Registry
from metrics.reporters import influxdb
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import until
from tests.reporters.real import ADMIN, Influx, Point, Victoria

pytestmark = pytest.mark.slow(reason="starts InfluxDB")

NEVER = 3600.0
"""An interval that does not end within a test: only the last report is made."""

AWKWARD = {
    "a b": "a b",
    "a,b": "a,b",
    "a=b": "a=b",
    'a"b': 'a"b',
    "'": "'",
    "a\\b": "a\\b",
    "a\\": "a/",
    "a\\ b": "a/ b",
    "a\nb": "a\\nb",
    "é😀": "é😀",
    "#": "#",
    '{"a":"b"}': '{"a":"b"}',
}
"""Label values, and what the line protocol makes of them."""

EVERYTHING: dict[str, dict[str, object]] = {
    "build.gauge": {"value": '{"commit":"a\\"b\\n","version":"1.2"}'},
    "call.timer": {
        "count": 1,
        **dict.fromkeys(["max", "mean", "min"], 250_000_000),
        **dict.fromkeys(["p50", "p75", "p95", "p99", "p999", "p9999"], 250_000_000),
        **dict.fromkeys(["stddev", "variance"], 0),
        **dict.fromkeys(["m1", "m5", "m15"], 0.2),
        "meanrate": 0.1,
    },
    "cpu.count": {"value": 1.5},
    "db.gauge": {"value": 1},
    "disk.gauge": {"value": 0},
    "height.gauge": {"value": 12_345_678},
    "in-flight.count": {"value": -2},
    "pause.timer": {
        "count": 1,
        **dict.fromkeys(["max", "mean", "min"], 500_000_000),
        **dict.fromkeys(["p50", "p75", "p95", "p99", "p999", "p9999"], 500_000_000),
    },
    "sent.meter": {"count": 5120, **dict.fromkeys(["m1", "m5", "m15"], 1024), "mean": 512},
    "size.histogram": {
        "count": 2,
        "max": 20,
        "mean": 15,
        "min": 10,
        "p25": 10,
        "p50": 15,
        **dict.fromkeys(["p75", "p95", "p99", "p999", "p9999"], 20),
        "stddev": 5,
        "variance": 25,
    },
    "used.gauge": {"value": 1.5 * 2**30},
}
"""What the example has, but for the estimates of bucket histograms, by measurement."""


def report_once(registry: Registry, influx: Influx, database: str, **options: Any) -> None:
    with influxdb.v1(registry, influx.url, database, **{"interval": NEVER, **options}):
        pass


def test_what_is_recorded_is_read_back_for_every_instrument(influx: Influx):
    database = influx.database()
    clock = ManualClock(epoch=NOW_NS / 1e9)
    report_once(everything(), influx, database, clock=clock)
    rows = influx.rows(database)
    assert {row.time_ns for row in rows} == {clock.time_ns()}
    found = {row.name: row.fields for row in rows}
    assert {name: found[name] for name in EVERYTHING} == EVERYTHING
    assert {row.tags["method"]: row.fields for row in rows if row.name == "hits.count"} == {
        "GET": {"value": 3},
        '"\\n': {"value": 1},
    }
    buckets = found["wait.histogram"]
    assert (buckets["count"], buckets["mean"], buckets["p50"]) == (1, 0.75, 0.75)
    assert found["served.timer"]["mean"] == 750_000_000


def test_counts_are_ints_and_measurements_floats(influx: Influx):
    database = influx.database()
    report_once(everything(), influx, database)
    types = influx.types(database)
    assert types["hits.count"] == {"value": "integer"}
    assert types["height.gauge"] == {"value": "integer"}
    assert types["cpu.count"] == types["used.gauge"] == {"value": "float"}
    assert types["build.gauge"] == {"value": "string"}
    whole = {"count", "max", "min"}
    assert {name for name, kind in types["call.timer"].items() if kind == "integer"} == whole


def test_awkward_labels_are_read_back(influx: Influx):
    database = influx.database()
    registry = Registry()
    family = registry.int_gauges("awk", labels=("l",))
    for number, text in enumerate(AWKWARD):
        family.labels(text).set(number)
    report_once(registry, influx, database)
    found = {row.tags["l"]: row.fields for row in influx.rows(database) if row.name == "awk.gauge"}
    assert found == {text: {"value": number} for number, text in enumerate(AWKWARD.values())}


@settings(max_examples=25, phases=[Phase.generate])
@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=9).filter(
            lambda text: "\\" not in text
        ),
        st.floats(allow_nan=False, allow_infinity=False),
        min_size=1,
        max_size=9,
    ),
    st.integers(-(2**63), 2**63 - 1),
)
def test_any_number_with_any_label_is_read_back(
    influx: Influx, floats: dict[str, float], whole: int
):
    database = influx.database()
    registry = Registry()
    registry.int_gauge("whole").set(whole)
    family = registry.gauges("float", labels=("of",))
    for text, value in floats.items():
        family.labels(text).set(value)
    report_once(registry, influx, database)
    rows = influx.rows(database)
    assert [row.fields for row in rows if row.name == "whole.gauge"] == [{"value": whole}]
    found = {row.tags["of"]: row.fields["value"] for row in rows if row.name == "float.gauge"}
    # The server shows large floats without an exponent, as if they were ints.
    assert {text: float(str(value)) for text, value in found.items()} == floats


def test_options_reach_the_lines(influx: Influx):
    database = influx.database()
    influx.query(f'CREATE RETENTION POLICY "short one" ON "{database}" DURATION 2h REPLICATION 1')
    registry = Registry()
    registry.timer("call").update(0.25)
    report_once(
        registry,
        influx,
        database,
        namespace="geth.",
        labels={"zone": "eu 1"},
        duration_unit="seconds",
        retention_policy="short one",
        compress=False,
        name="spare",
    )
    (series,) = influx.query('SELECT * FROM "short one"."geth.call.timer" GROUP BY *', database)
    assert series["tags"] == {"zone": "eu 1"}
    (found,) = influx.query('SELECT mean FROM "short one"."geth.call.timer"', database)
    assert found["values"][0][1] == 0.25  # type: ignore[index]
    assert influx.query('SELECT * FROM "short one"."geth.reporter/spare/sent.count"', database)


def test_a_large_registry_is_read_back_whole(influx: Influx):
    database = influx.database()
    registry = Registry()
    family = registry.int_gauges("n", labels=("i",), max_children=12_000)
    for number in range(12_000):
        family.labels(f"{number:080}").set(number)
    report_once(registry, influx, database)
    (found,) = influx.query('SELECT count(value), sum(value) FROM "n.gauge"', database)
    assert found["values"][0][1:] == [12_000, sum(range(12_000))]  # type: ignore[index]


def test_a_user_with_a_password_may_write(guarded_influx: Influx):
    database = guarded_influx.database()
    report_once(everything(), guarded_influx, database, username=ADMIN["u"], password=ADMIN["p"])
    assert set(EVERYTHING) <= {row.name for row in guarded_influx.rows(database)}


def test_a_wrong_password_is_one_line_that_does_not_show_it(
    guarded_influx: Influx, caplog: pytest.LogCaptureFixture
):
    registry = Registry()
    with influxdb.v1(
        registry,
        guarded_influx.url,
        guarded_influx.database(),
        username="admin",
        password="let-me-in",
        interval=0.02,
    ):
        until(lambda: registry.counter("reporter/influxdb/dropped").count > 2, "refusals")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "401" in record.getMessage()
    assert "authorization failed" in record.getMessage()
    assert "let-me-in" not in caplog.text


def test_names_and_passwords_may_have_any_script(guarded_influx: Influx):
    guarded_influx.query('CREATE DATABASE "données"')
    guarded_influx.query("CREATE USER \"zoë\" WITH PASSWORD 'pä: ß€'")
    guarded_influx.query('GRANT WRITE ON "données" TO "zoë"')
    report_once(everything(), guarded_influx, "données", username="zoë", password="pä: ß€")
    assert set(EVERYTHING) <= {row.name for row in guarded_influx.rows("données")}


def test_a_missing_database_is_one_line_that_names_it(
    influx: Influx, caplog: pytest.LogCaptureFixture
):
    registry = Registry()
    with influxdb.v1(registry, influx.url, "not there", interval=0.02):
        until(lambda: registry.counter("reporter/influxdb/dropped").count > 2, "refusals")
    (record,) = caplog.records
    assert "404" in record.getMessage()
    assert "not there" in record.getMessage()


def test_a_field_that_changes_its_type_is_said_and_the_rest_is_stored(
    influx: Influx, caplog: pytest.LogCaptureFixture
):
    database = influx.database()
    before, after = Registry(), Registry()
    before.int_gauge("x").set(1)
    after.gauge("x").set(1.5)
    after.counter("y").inc()
    report_once(before, influx, database)
    report_once(after, influx, database)
    (record,) = caplog.records
    assert "field type conflict" in record.getMessage()
    assert {"x.gauge", "y.count"} <= set(influx.types(database))


def test_version_2_is_read_back(victoria: Victoria):
    clock = ManualClock(epoch=NOW_NS / 1e9)
    with influxdb.v2(
        everything(),
        victoria.url,
        "t0ken",
        "my org",
        "my bucket",
        interval=NEVER,
        labels={"test": "v2"},
        clock=clock,
    ):
        pass
    # It stores numbers alone.
    expected = {
        f"{name}_{field}": pytest.approx(value)
        for name, fields in EVERYTHING.items()
        for field, value in fields.items()
        if not isinstance(value, str)
    }

    def read_back() -> list[Point]:
        points = victoria.points(test="v2")
        assert {point.name: point.value for point in points}.items() >= expected.items()
        return points

    points = until(read_back, "all is there")
    # It keeps milliseconds.
    assert {point.seconds for point in points} == {clock.time_ns() // 10**6 / 1000}


def test_awkward_labels_are_read_back_by_version_2(victoria: Victoria):
    registry = Registry()
    family = registry.gauges("awk", labels=("l",))
    for number, text in enumerate(AWKWARD):
        family.labels(text).set(number)
    with influxdb.v2(
        registry, victoria.url, "t", "o", "b", interval=NEVER, labels={"test": "awkward v2"}
    ):
        pass
    points = victoria.has(len(AWKWARD), test="awkward v2", __name__="awk.gauge_value")
    found = {point.tags["l"]: point.value for point in points}
    assert found == {text: number for number, text in enumerate(AWKWARD.values())}


def test_what_a_configuration_leaves_out_is_the_default(influx: Influx):
    database = influx.database()
    options: list[str] = [
        "username password retention_policy namespace labels duration_unit",
        "name timeout connect_timeout buffered buffered_bytes compress ca_file",
    ]
    left_out = dict.fromkeys(" ".join(options).split())
    report_once(everything(), influx, database, **left_out)
    assert set(EVERYTHING) <= {row.name for row in influx.rows(database)}
