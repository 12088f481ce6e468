"""The fixtures give a test a running container whose time it drives, and what it recorded."""

import subprocess
import sys

import pytest

PLUGIN = ("-p", "metrics.testing._plugin.fixtures", "-p", "no:cacheprovider")


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch):
    # One of them might shuffle the tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_the_resources_of_the_container_are_those_of_the_other_fixtures(pytester):
    pytester.makepyfile("""
        import threading
        from metrics import resources
        from metrics.lifecycle import State, state
        from metrics.testing import ManualClock, ManualTicker, assert_recorded

        def test_rate(metrics_container, manual_ticker, manual_clock, recorded_metrics):
            assert state(metrics_container) is State.RUNNING
            assert metrics_container.ticker() is manual_ticker and manual_ticker.running
            assert metrics_container.clock() is manual_clock is manual_ticker.clock
            requests = metrics_container.registry().meter("rpc/requests")
            requests.mark(300)
            manual_ticker.advance(5)
            assert round(requests.snapshot().rate15, 9) == 60.0
            assert requests.snapshot().rate_mean == 60.0
            assert recorded_metrics["rpc/requests"].count == 300
            assert_recorded("rpc/requests", count=300)
            assert [t.name for t in threading.enumerate() if t.name == "metrics-ticker"] == []

        def test_nothing_is_left_of_the_other_test(metrics_container, recorded_metrics):
            assert len(metrics_container.registry()) == 0
            assert list(recorded_metrics) == []

        def test_each_alone(manual_ticker, manual_clock):
            assert type(manual_ticker) is ManualTicker and type(manual_clock) is ManualClock
            manual_ticker.advance(1)
            assert manual_clock.monotonic() == 1001.0
    """)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=3)


def test_the_container_is_stopped_after_a_test_that_fails_too(pytester):
    pytester.makepyfile("""
        from metrics.lifecycle import State, state
        kept = []

        def test_fails(metrics_container):
            kept.append(metrics_container)
            raise OSError("no")

        def test_stopped():
            assert state(kept[0]) is State.STOPPED
            assert kept[0].clock.overridden == kept[0].ticker.overridden == ()
    """)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(failed=1, passed=1)


def test_the_ticker_outlives_the_container_for_what_was_set_up_before_it(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def before(manual_ticker):
            yield
            manual_ticker.advance(1)

        def test_stops(before, metrics_container, manual_ticker):
            metrics_container.shutdown_resources()
            assert manual_ticker.running
    """)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_conftest_overrides_the_clock_and_the_container(pytester):
    pytester.makeconftest("""
        import pytest
        from metrics import resources
        from metrics.lifecycle import MetricsContainer, Resource, running
        from metrics.testing import ManualClock, overridden

        class Container(MetricsContainer):
            calls = Resource(resources.counter, MetricsContainer.registry, "calls")

        @pytest.fixture
        def manual_clock():
            return ManualClock(monotonic=7)

        @pytest.fixture
        def metrics_container(manual_clock, manual_ticker):
            given = {"clock": manual_clock, "ticker": manual_ticker}
            with overridden(Container(), given) as container, running(container):
                yield container
    """)
    pytester.makepyfile("""
        def test_own(metrics_container, recorded_metrics, manual_ticker):
            metrics_container.calls().inc()
            manual_ticker.advance(1)
            assert manual_ticker.clock.monotonic() == 8.0
            assert recorded_metrics.to_dict() == {"calls": {"count": 1}}
    """)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_failing_assertion_shows_what_changed(pytester):
    pytester.makepyfile("""
        from metrics.testing import assert_recorded

        def test_count(metrics_container, recorded_metrics):
            metrics_container.registry().counter("other").inc()
            metrics_container.registry().counter("calls")
            assert_recorded("calls", count=1)
    """)
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*count: expected 1, got 0", "E*other changes:", "E*other: count=1"]
    )


def test_every_fixture_is_documented(pytester):
    result = pytester.runpytest_inprocess("--fixtures", *PLUGIN)
    result.stdout.fnmatch_lines(
        [
            "manual_clock*",
            "*Return a clock that stands still*",
            "manual_ticker*",
            "*Provide a started ticker whose*",
            "metrics_container*",
            "*Provide a running MetricsContainer with*",
            "recorded_metrics*",
            "*Provide the changes in `metrics_container`*",
        ]
    )


def test_loading_the_fixtures_loads_nothing_that_they_need():
    code = (
        "import pytest, sys; before = set(sys.modules); import metrics.testing._plugin.fixtures; "
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    for name in (
        "dependency_injector",
        "metrics.lifecycle",
        "metrics.testing.recording._block",
        "decimal",
    ):
        assert repr(name) not in done.stdout
    assert "'metrics.testing._plugin.fixtures'" in done.stdout
