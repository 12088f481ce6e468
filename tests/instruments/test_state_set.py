"""States are on or off, in every format; a snapshot has all of them."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Family, MetricTypeError, Registry, StateSet, StateSetSnapshot
from metrics.exporters import (
    csv,
    expvar,
    geth_text,
    graphite,
    influx,
    json,
    log_lines,
    openmetrics,
    opentsdb,
    otlp,
    prometheus,
    remote_write,
    statsd,
)
from tests.exporters.write_requests import read

PHASES = ("new", "running", "stopped")


@pytest.fixture
def registry():
    registry = Registry()
    registry.state_set("job/phase", PHASES).set("running")
    return registry


def test_all_states_are_off_in_the_beginning():
    phase = StateSet(PHASES)
    assert phase.states == PHASES
    assert phase.value == ()
    assert phase.snapshot().states == {"new": False, "running": False, "stopped": False}


@given(st.lists(st.sets(st.sampled_from(PHASES))))
def test_the_last_set_decides_and_leaves_no_other_state_on(steps):
    phase = StateSet(PHASES)
    for step in steps:
        phase.set(*step)
    on = steps[-1] if steps else set()
    assert set(phase.value) == on
    assert phase.snapshot().states == {state: state in on for state in PHASES}


def test_an_undeclared_state_is_refused_and_changes_nothing():
    phase = StateSet(PHASES)
    phase.set("new")
    with pytest.raises(ValueError, match="state 'lost' is not declared; use 'new', 'running'"):
        phase.set("running", "lost")
    assert phase.value == ("new",)


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ("new", "invalid states 'new': use a sequence of str"),
        ((1,), r"invalid state 1 \(int\): use a str"),
        ((), r"invalid states \(\): use one or more different names"),
        (("a", "a"), "use one or more different names"),
        (("",), "use one or more different names"),
    ],
)
def test_malformed_states_are_refused(states, error):
    with pytest.raises((TypeError, ValueError), match=error):
        StateSet(states)


def test_a_snapshot_is_a_value_and_a_copy_is_the_instrument():
    phase = StateSet(PHASES)
    before = phase.snapshot()
    phase.set("new")
    assert before != phase.snapshot()
    assert phase.snapshot() == StateSetSnapshot({"new": True, "running": False, "stopped": False})
    assert pickle.loads(pickle.dumps(phase.snapshot())) == phase.snapshot()
    assert hash(phase.snapshot()) == hash(phase.snapshot())
    assert copy.deepcopy(phase) is phase
    assert repr(phase) == "StateSet(('new', 'running', 'stopped'), value=('new',))"


def test_a_forked_process_keeps_the_states():
    phase = StateSet(PHASES)
    phase.set("running")
    phase._after_fork()
    assert phase.value == ("running",)


def test_openmetrics_has_a_state_set_and_prometheus_a_gauge(registry):
    states = (
        'job_phase{job_phase="new"} 0\n'
        'job_phase{job_phase="running"} 1\n'
        'job_phase{job_phase="stopped"} 0\n'
    )
    help_text = "# HELP job_phase job/phase (StateSet)\n"
    assert openmetrics.render(registry).decode() == (
        f"{help_text}# TYPE job_phase stateset\n{states}# EOF\n"
    )
    assert prometheus.render(registry).decode() == (f"{help_text}# TYPE job_phase gauge\n{states}")
    geth = prometheus.render(registry, dialect="go-ethereum").decode()
    assert 'job_phase {job_phase="running"} 1\n' in geth


def test_each_child_of_a_family_has_all_states():
    registry = Registry(labels={"shop": "1"})
    phases = registry.state_sets("phase", ("job",), PHASES)
    phases.labels("a").set("new")
    assert b'phase{shop="1",job="a",phase="new"} 1\n' in prometheus.render(registry)
    assert b'phase{shop="1",job="a",phase="stopped"} 0\n' in prometheus.render(registry)


def test_a_label_of_the_name_of_the_metric_stays_apart():
    registry = Registry()
    registry.state_sets("phase", ("phase",), ("on",)).labels("a").set("on")
    assert b'phase{phase="a",phase_="on"} 1\n' in prometheus.render(registry)


def test_formats_with_labels_have_a_series_for_each_state(registry):
    (on,) = [one for one in read(remote_write.render(registry, timestamp_ns=0)) if one.value == 1]
    assert on.key == ("job_phase", frozenset({("job_phase", "running")}))
    assert b"job.phase.value;job_phase=running 1 0\n" in graphite.render(registry, timestamp_ns=0)
    assert b"job_phase=running" in opentsdb.render(registry, host="h", timestamp_ns=0)
    assert b"job.phase:1|g|#job_phase:running\n" in statsd.render(
        registry, deltas=statsd.Deltas(), dialect="dogstatsd"
    )
    assert otlp.render(registry, timestamp_ns=0).count(b"job_phase") == 3


def test_formats_with_fields_have_a_number_for_each_state(registry):
    assert json.render(registry) == b'{"job/phase": {"new": 0, "running": 1, "stopped": 0}}'
    assert b'"job/phase.running": 1' in expvar.render(registry)
    assert influx.render(registry) == b"job/phase.gauge new=0i,running=1i,stopped=0i\n"
    assert geth_text.render(registry).startswith(b"gauge job/phase\n  new:         0\n")
    assert log_lines.render(registry) == b"job/phase new=0 running=1 stopped=0\n"
    assert b",job/phase,,running,1\r\n" in csv.render(registry, timestamp_ns=0)


def test_the_shortcuts_return_what_is_there_and_refuse_another_type(registry):
    phase = registry.state_set("job/phase", PHASES)
    assert phase is registry.get("job/phase")
    with pytest.raises(MetricTypeError, match="is already a StateSet; asked for a Gauge"):
        registry.gauge("job/phase")
    family = registry.state_sets("phases", ("job",), PHASES)
    assert isinstance(family, Family)
    assert family.kind is StateSet
