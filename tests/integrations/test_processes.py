"""Processes that share a registry answer for all of them, exactly, whichever one is read."""

import json
import math
import multiprocessing
import os
import random
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from metrics import Counter, Gauge, Registry, Ticker
from metrics.collectors import ProcessCollector, RuntimeCollector
from metrics.exporters import influx, openmetrics, otlp
from metrics.exporters import json as json_format
from metrics.integrations import processes
from metrics.integrations._group import directory as directories
from metrics.integrations._group import refreshing
from metrics.integrations._group.files import MemberFile, empty_table
from metrics.integrations._group.locking import lock_files
from metrics.integrations._group.reading import RegistryColumns
from metrics.registry._inner import store_of
from metrics.testing import no_leaks
from tests.forks import DEADLINE, forking, waiting_child
from tests.integrations.workers import Workers, names_of, values_of, workers
from tests.processes import until

__all__ = ["workers"]

pytestmark = forking


def counting(registry):
    return registry.counter("requests")


def test_every_worker_answers_for_all(workers: Workers):
    group = [workers.start(counting) for _ in range(3)]
    for number, worker in enumerate(group, 1):
        worker.run(f"made.inc({number})")
    assert [worker.run("values()['requests_total']") for worker in group] == [6, 6, 6]
    group[0].run("made.inc(10)")
    assert [worker.run("values()['requests_total']") for worker in group] == [16, 16, 16]


def test_every_kind_of_total_is_exact_over_living_and_ended_workers(workers: Workers):
    def build(registry):
        return {
            "counter": registry.counter("counter"),
            "float": registry.float_counter("float"),
            "meter": registry.meter("meter"),
            "buckets": registry.bucket_histogram("buckets", bounds=(1.0, 2.0)),
            "timer": registry.timer("timer", bounds=(1.0,)),
            "histogram": registry.histogram("histogram"),
            "sampled": registry.timer("sampled", sampled=True),
            "resetting": registry.resetting_timer("resetting"),
            "family": registry.counters("family", labels=("code",)),
        }

    update = (
        "[made['counter'].inc(2**70), made['float'].inc(0.1), made['meter'].mark(3),"
        " made['buckets'].update(1.5), made['timer'].update(0.25), made['histogram'].update(4),"
        " made['sampled'].update(0.5), made['resetting'].update(0.125),"
        " made['family'].labels(200).inc()]"
    )
    group = [workers.start(build) for _ in range(4)]
    for worker in group:
        worker.run(f"len({update})")
    expected = {
        "counter_total": 4 * 2**70,
        "float_total": 0.4,
        "meter_total": 12,
        'buckets_bucket{le="1.0"}': 0,
        'buckets_bucket{le="2.0"}': 4,
        'buckets_bucket{le="+Inf"}': 4,
        "buckets_sum": 6,
        "buckets_count": 4,
        "timer_seconds_count": 4,
        "timer_seconds_sum": 1,
        "histogram_count": 4,
        "histogram_sum": 16,
        "sampled_seconds_count": 4,
        "sampled_seconds_sum": 2,
        "resetting_seconds_count": 4,
        "resetting_seconds_sum": 0.5,
        'family_total{code="200"}': 4,
    }

    def totals(worker):
        found = worker.run("values()")
        return {name: found.get(name) for name in expected}

    assert totals(group[3]) == expected
    # The last scrape has published everything.
    group[0].kill()
    group[1].end()
    assert totals(group[2]) == expected
    assert totals(group[3]) == expected


def test_what_a_killed_worker_has_shown_is_never_taken_back(workers: Workers):
    first, second, third = [workers.start(counting) for _ in range(3)]
    first.run("made.inc(5)")
    assert second.run("values()['requests_total']") == 5
    # Lost: no scrape and no tick has published it.
    first.run("made.inc(100)")
    first.kill()
    assert second.run("values()['requests_total']") == 5
    assert third.run("values()['requests_total']") == 5


def test_a_tick_publishes_for_the_case_that_nobody_scrapes(workers: Workers):
    @contextmanager
    def enter():
        ticker = Ticker(1000)
        registry = Registry(ticker=ticker)
        with processes.share(registry, directory=workers.directory) as member:
            yield {**names_of(registry, registry.counter("requests"), member), "ticker": ticker}

    first, second = workers.enter(enter), workers.start(counting)
    first.run("made.inc(7)")
    first.run("ticker.tick()")
    first.kill()
    assert second.run("values()['requests_total']") == 7


def test_a_worker_that_ends_in_order_loses_nothing(workers: Workers):
    first, second = workers.start(counting), workers.start(counting)
    first.run("made.inc(9)")
    first.end()
    assert second.run("values()['requests_total']") == 9
    assert second.run("len(member.directory.joinpath('total').read_bytes()) > 0")


def test_an_instrument_unregistered_before_the_share_stops_keeps_its_counts(workers: Workers):
    first, second = workers.start(counting), workers.start(counting)
    first.run("made.inc(4)")
    first.run("registry.unregister('requests')")
    assert second.run("values()['requests_total']") == 4
    first.end()
    assert second.run("values()['requests_total']") == 4


def test_a_registry_that_joins_its_group_again_counts_once(workers: Workers):
    """A container that is restarted in a worker may share a registry that goes on."""
    first = workers.start(counting)
    first.run("made.inc()")
    registry = Registry()
    counter = registry.counter("requests")
    family = registry.counters("family", labels=("x",))
    seconds = registry.float_counter("seconds")
    timer = registry.timer("time", sampled=True)
    # Another one of the same name in each block.
    fresh = None
    for number in range(3):
        with processes.share(registry, directory=workers.directory):
            counter.inc(10)
            seconds.inc(0.1)
            timer.update(2)
            family.labels("a").inc()
            if fresh is not None:
                registry.unregister("fresh")
            fresh = registry.counter("fresh")
            fresh.inc(100)
            for found in (values_of(registry), first.run("values()")):
                assert found["requests_total"] == 1 + 10 * (number + 1)
                assert found["seconds_total"] == math.fsum([0.1] * (number + 1))
                assert found["time_seconds_count"] == number + 1
                assert found['family_total{x="a"}'] == number + 1
                assert found["fresh_total"] == 100 * (number + 1)
    assert first.run("values()['requests_total']") == 31


def test_a_registry_joins_again_although_a_gauge_of_it_fails(workers: Workers):
    def fail():
        raise OSError("no sensor")

    first = workers.start(counting)
    registry = Registry()
    registry.register("sensor", Gauge(fail))
    counter = registry.counter("requests")
    for _ in range(2):
        with processes.share(registry, directory=workers.directory):
            counter.inc()
    assert first.run("values()['requests_total']") == 2


def test_levels_are_those_of_living_workers(workers: Workers):
    def build(registry):
        return registry.updown_counter("in_flight"), registry.gauge("load"), registry.meter("m")

    first, second = workers.start(build), workers.start(build)
    first.run("[made[0].inc(3), made[1].set(1.5)]")
    second.run("[made[0].inc(2), made[1].set(2.5)]")
    found = second.run("values()")
    assert (found["in_flight"], found["load"]) == (5, 4)
    first.kill()
    found = second.run("values()")
    assert (found["in_flight"], found["load"]) == (2, 2.5)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("sum", {"load": 12}),
        ("min", {"load": 3}),
        ("max", {"load": 5}),
        ("last", {"load": 4}),
        (
            "worker",
            {'load{worker="0"}': 3, 'load{worker="1"}': 5, 'load{worker="2"}': 4},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["gauge", "int_gauge"])
def test_a_gauge_has_a_mode(workers: Workers, mode, expected, kind):
    def build(registry):
        return getattr(registry, kind)("load")

    group = [workers.start(build, gauges={"load": mode}) for _ in range(3)]
    for worker, value in zip(group, (3, 5, 4), strict=True):
        worker.run(f"made.set({value})")
        worker.run("member.tick()")
    found = group[0].run("values()")
    assert {name: v for name, v in found.items() if name.startswith("load")} == expected


def test_a_family_of_gauges_has_a_series_for_each_worker_number(workers: Workers):
    def build(registry):
        return registry.gauges("load", labels=("queue",)).labels("a")

    first, second = [workers.start(build, gauges="worker") for _ in range(2)]
    first.run("made.set(1)")
    second.run("made.set(2)")
    found = first.run("values()")
    assert found['load{queue="a",worker="0"}'] == 1
    assert found['load{queue="a",worker="1"}'] == 2


def test_worker_numbers_are_used_again(workers: Workers):
    first, second = workers.start(counting), workers.start(counting)
    assert (first.run("member.number"), second.run("member.number")) == (0, 1)
    first.kill()
    third, fourth = workers.start(counting), workers.start(counting)
    assert (third.run("member.number"), fourth.run("member.number")) == (0, 2)


def test_a_check_that_fails_in_any_worker_fails_in_all(workers: Workers):
    def build(registry):
        return registry.healthcheck("database")

    first, second = workers.start(build), workers.start(build)
    first.run("made.healthy()")
    second.run("made.healthy()")
    assert first.run("values()['database_healthy']") == 1
    second.run("made.unhealthy('no connection')")
    assert first.run("values()['database_healthy']") == 0
    errors = first.run("{name: str(e) for name, e in registry.run_healthchecks().items()}")
    assert errors == {"database": "worker 1: no connection"}
    second.kill()
    assert first.run("registry.run_healthchecks()") == {"database": None}


def test_info_labels_are_one_series_if_all_workers_agree(workers: Workers):
    def build(registry):
        return registry.info("build"), registry.state_set("phase", ("idle", "busy"))

    first, second = workers.start(build), workers.start(build)
    for worker in (first, second):
        worker.run("[made[0].set({'version': '1'}), made[1].set('idle')]")
    found = first.run("values()")
    assert found['build_info{version="1"}'] == 1
    assert found['phase{phase="idle"}'] == 1
    second.run("[made[0].set({'version': '2'}), made[1].set('busy')]")
    found = first.run("values()")
    assert found['build_info{worker="0",version="1"}'] == 1
    assert found['build_info{worker="1",version="2"}'] == 1
    assert found['phase{worker="1",phase="busy"}'] == 1


def test_samples_are_weighted_by_the_updates_of_their_workers(workers: Workers):
    def build(registry):
        return registry.histogram("size")

    first, second = workers.start(build), workers.start(build)
    first.run("[made.update(1) for _ in range(9000)].clear()")
    second.run("[made.update(1000) for _ in range(1000)].clear()")
    found = first.run("values()")
    assert found['size{quantile="0.75"}'] == 1
    assert found['size{quantile="0.95"}'] == 1000


def test_an_instrument_of_another_worker_alone_is_shown(workers: Workers):
    first = workers.start(lambda registry: registry.counter("lazy", description="Made late."))
    second = workers.start()
    first.run("made.inc(2)")
    assert "# HELP lazy_total Made late.\n" in second.run("page()")
    assert second.run("values()['lazy_total']") == 2
    assert second.run("values()['lazy_total']") == 2


def test_children_of_all_workers_are_in_one_family(workers: Workers):
    def build(registry):
        return registry.counters("requests", labels=("code",))

    first, second = workers.start(build), workers.start(build)
    first.run("[made.labels(200).inc(), made.labels(404).inc()]")
    second.run("[made.labels(500).inc(5), made.labels(200).inc(2)]")
    expected = {f'requests_total{{code="{c}"}}': n for c, n in ((200, 3), (404, 1), (500, 5))}
    for worker in (first, second):
        found = worker.run("values()")
        assert {n: v for n, v in found.items() if n.startswith("requests")} == expected


@pytest.mark.parametrize("removal", ["made.remove(200)", "made.clear()"])
def test_a_removed_child_keeps_its_counts_while_others_have_it(workers: Workers, removal):
    def build(registry):
        registry.timers("time", labels=("code",), bounds=(1.0,)).labels(200).update(0.5)
        return registry.counters("requests", labels=("code",))

    def shown(worker):
        return worker.run("values()").get('requests_total{code="200"}')

    first, second = workers.start(build), workers.start(build)
    for worker in (first, second):
        worker.run("made.labels(200).inc(3)")
    assert shown(second) == 6
    first.run(removal)
    assert [shown(second), shown(first)] == [6, 6]
    first.run("made.labels(200).inc()")
    assert [shown(second), shown(first)] == [7, 7]
    first.run(removal)
    second.run(removal)
    assert [shown(second), shown(first)] == [None, None]
    first.kill()
    assert shown(second) is None
    second.run("made.labels(200).inc()")
    assert shown(second) == 8
    assert second.run("values()")['time_seconds_count{code="200"}'] == 2


def test_the_function_of_a_gauge_reads_the_values_of_its_process(workers: Workers):
    def build(registry):
        requests = registry.counter("requests")
        registry.gauge("open").set(1)
        registry.gauge("ratio", function=lambda: 2 * reading(registry))
        return requests

    def reading(registry):
        # Without the gauge itself, which would be read for ever.
        from metrics.registry._inner import store_of

        pairs = store_of(registry).read(lambda entry: entry.name == "open" and entry.instrument)
        return next(found.value for _, found in pairs if found)

    first, second = workers.start(build), workers.start(build)
    assert first.run("values()['ratio']") == 4
    assert second.run("values()['ratio']") == 4


def test_collectors_have_a_series_for_each_worker(workers: Workers):
    pytest.importorskip("psutil")

    def build(registry):
        return ProcessCollector(registry), RuntimeCollector(registry)

    first, second = workers.start(build), workers.start(build)
    first.run("[each.tick() for each in made]")
    found = second.run("values()")
    for name in ("process_uptime_seconds", "system_memory_held_bytes", "python_threads"):
        assert found[f'{name}{{worker="0"}}'] > 0
        assert found[f'{name}{{worker="1"}}'] > 0
        assert name not in found
    assert len([name for name in found if name.startswith("python_info")]) == 1


def test_every_format_has_the_values_of_all(workers: Workers):
    worker = workers.start(counting)
    worker.run("made.inc(3)")
    registry = Registry()
    registry.counter("requests").inc(2)
    with processes.share(registry, directory=workers.directory):
        assert registry.snapshot()["requests"].count == 5
        assert json.loads(json_format.render(registry))["requests"]["count"] == 5
        assert b"requests_total 5" in openmetrics.render(registry)
        assert b"requests.count value=5i" in influx.render(registry, timestamp_ns=1)
        assert registry.child("other").snapshot() == {}
    assert registry.snapshot()["requests"].count == 2


def test_otlp_totals_start_with_the_group(workers: Workers):
    pytest.importorskip("opentelemetry.proto")
    worker = workers.start(counting)
    worker.run("made.inc(3)")
    registry = Registry()
    registry.counter("requests").inc(2)
    with processes.share(registry, directory=workers.directory):
        assert otlp.render(registry, timestamp_ns=time.time_ns())


def test_updates_are_those_of_plain_instruments(workers: Workers):
    registry = Registry()
    counter = registry.counter("requests")
    with processes.share(registry, directory=workers.directory):
        counter.inc()
        assert registry.get("requests") is counter
        assert counter.count == 1


def test_the_last_process_removes_the_directory(workers: Workers):
    first, second = workers.start(counting), workers.start(counting)
    first.end()
    assert workers.directory.exists()
    second.end()
    assert not workers.directory.exists()


def test_a_group_that_was_killed_is_removed_by_the_next_one(workers: Workers):
    first = workers.start(counting, name="killed")
    killed = first.run("member.directory")
    first.kill()
    assert killed.exists()
    second = workers.start(counting, name="next")
    assert not killed.exists()
    assert second.run("member.directory.exists()")


def test_a_restart_of_all_workers_begins_at_zero_or_continues(workers: Workers):
    first = workers.start(counting)
    first.run("made.inc(5)")
    first.end()
    second = workers.start(counting)
    assert second.run("values()['requests_total']") == 0
    second.run("made.inc(3)")
    second.run("values()")
    second.kill()
    third = workers.start(counting)
    assert third.run("values()['requests_total']") == 3


def test_the_directory_is_private(workers: Workers):
    worker = workers.start(counting)
    for path in (workers.directory, worker.run("member.directory")):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_write_is_refused(workers: Workers):
    workers.directory.mkdir()
    workers.directory.chmod(0o777)
    with (
        pytest.raises(PermissionError, match="0700"),
        processes.share(Registry(), directory=workers.directory),
    ):
        pass


def test_a_link_in_place_of_the_directory_is_refused(workers: Workers, tmp_path):
    workers.directory.symlink_to(tmp_path)
    with (
        pytest.raises(PermissionError, match="0700"),
        processes.share(Registry(), directory=workers.directory),
    ):
        pass
    workers.directory.unlink()


def test_a_second_registry_of_a_process_needs_a_name(workers: Workers):
    first, second = Registry(), Registry()
    first.counter("requests").inc()
    second.counter("requests").inc(2)
    with processes.share(first, directory=workers.directory):
        with (
            pytest.raises(RuntimeError, match="pass `name=`"),
            processes.share(second, directory=workers.directory),
        ):
            pass
        assert "processes/skipped" not in second
        with processes.share(second, directory=workers.directory, name="second"):
            assert values_of(first)["requests_total"] == 1
            assert values_of(second)["requests_total"] == 2
    assert not workers.directory.exists()


def test_a_disabled_registry_is_not_shared(workers: Workers):
    with processes.share(Registry(enabled=False), directory=workers.directory):
        assert not workers.directory.exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gauges": "mean"}, ValueError, "invalid mode 'mean'"),
        ({"gauges": {"a": "first"}}, ValueError, "invalid mode 'first' of 'a'"),
        ({"gauges": 3}, TypeError, "invalid gauges 3"),
        ({"reporters": "two"}, ValueError, "invalid reporters 'two'"),
        ({"name": 3}, TypeError, "invalid name 3"),
        ({"group": 3}, TypeError, "invalid group 3"),
        ({"directory": "/tmp/" + "a" * 90}, ValueError, "path of a socket"),
    ],
)
def test_malformed_options_are_refused(options, error, message):
    registry = Registry()
    with pytest.raises(error, match=message), processes.share(registry, **options):
        pass
    assert registry.names() == ()


@pytest.mark.slow(reason="kills one worker after another")
def test_scrapes_never_fall_while_workers_are_killed(workers: Workers):
    def build(registry):
        return registry.counter("requests"), registry.float_counter("seconds")

    reader = workers.start(build)
    group = [workers.start(build) for _ in range(3)]
    choose = random.Random(15)
    shown = (0.0, 0.0)
    for _ in range(25):
        for worker in group:
            worker.run("[made[0].inc(), made[1].inc(0.1)]")
        reader.send("values()")
        victim = choose.randrange(len(group))
        # During the scrape, at any of its steps.
        group[victim].kill()
        found = reader.answer()
        present = (found["requests_total"], found["seconds_total"])
        assert present >= shown
        assert present[1] >= shown[1]
        shown = present
        group[victim] = workers.start(build)
        found = group[victim].run("values()")
        assert (found["requests_total"], found["seconds_total"]) >= shown
    assert reader.run("len(member.directory.joinpath('total').read_bytes()) < 10_000")
    assert reader.run("len(os.listdir(member.directory))") <= 3 * 4 + 2


def test_no_sum_falls_while_another_process_moves_totals(workers: Workers, monkeypatch):
    """The race of the prototype: read between the new total and the removal of the old file."""
    remove = directories.remove_files

    def slow(path, member):
        time.sleep(0.01)
        remove(path, member)

    monkeypatch.setattr(directories, "remove_files", slow)
    readers = [workers.start(counting) for _ in range(2)]
    shown = 0.0
    for _ in range(8):
        victim = workers.start(counting)
        victim.run("made.inc(10)")
        victim.run("values()")
        victim.kill()
        for reader in readers:
            reader.send("[values()['requests_total'] for _ in range(5)]")
        for reader in readers:
            found = reader.answer()
            assert found == sorted(found)
            assert set(found) == {shown + 10}
        shown += 10


@pytest.mark.slow(reason="restarts a thousand times")
def test_a_thousand_restarts_leave_one_exact_total(workers: Workers):
    reader = workers.start(counting)
    reader.run("made.inc()")
    path = Path(reader.run("str(member.directory)"))
    registry = Registry()
    registry.counter("requests").inc(3)
    registry.float_counter("seconds").inc(0.1)
    ended = RegistryColumns(registry.clock, lambda _: "sum").read(store_of(registry).entries())
    directory = directories.GroupDirectory(path, Counter())
    # Of a process that was killed while it wrote the file.
    (path / "total.1-1.new").touch()
    for restarts in range(100, 1001, 100):
        for _ in range(100):
            with directory.locked():
                name, descriptor = directory.join()
                directory.write(f"{name}.data", MemberFile({}, ended, empty_table(), empty_table()))
            # As at any end of a process.
            lock_files.close(descriptor)
        found = reader.run("values()")
        assert found["requests_total"] == 1 + 3 * restarts
        assert found["seconds_total"] == math.fsum([0.1] * restarts)
    names = [file.name for file in path.iterdir()]
    assert sorted(name.partition(".")[2] for name in names) == ["", "", "data", "lock", "sock"]
    assert (path / "total").stat().st_size < 10_000


def test_a_crash_between_the_new_total_and_the_removal_counts_once(workers: Workers, monkeypatch):
    victim = workers.start(counting)
    victim.run("made.inc(10)")

    def crash(path, member):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(directories, "remove_files", crash)
    crashing = workers.start(counting)
    monkeypatch.undo()
    crashing.run("values()")
    victim.kill()
    crashing.send("values()")
    with pytest.raises(AssertionError, match="has ended"):
        crashing.answer()
    healthy = workers.start(counting)
    assert healthy.run("values()['requests_total']") == 10
    assert healthy.run("values()['requests_total']") == 10
    assert healthy.run("len(os.listdir(member.directory))") == 5


def test_a_worker_that_is_stopped_delays_a_scrape_and_keeps_its_values(workers: Workers):
    first, second = workers.start(counting), workers.start(counting)
    first.run("made.inc(6)")
    second.run("values()")
    os.kill(first.pid, signal.SIGSTOP)
    try:
        assert second.run("values()['requests_total']") == 6
    finally:
        os.kill(first.pid, signal.SIGCONT)


def test_a_foreign_file_is_skipped_counted_and_logged_once(workers: Workers, caplog):
    worker = workers.start(counting)
    worker.run("made.inc(2)")
    registry = Registry()
    registry.counter("requests").inc()
    with processes.share(registry, directory=workers.directory) as member:
        for name, data in (
            ("0007-foreign.data", b"pickle"),
            ("0008-truncated.data", (member.directory / "total").read_bytes()[:40]),
        ):
            (member.directory / name).write_bytes(data)
            (member.directory / f"{name[:-5]}.lock").touch()
        assert values_of(registry)["requests_total"] == 3
        assert values_of(registry)["requests_total"] == 3
        assert registry.get("processes/skipped").count >= 2
    assert len([r for r in caplog.records if "0007-foreign" in r.getMessage()]) == 1
    assert len([r for r in caplog.records if "0008-truncated" in r.getMessage()]) == 1


def test_another_version_of_the_program_does_not_break_a_scrape(workers: Workers):
    def old(registry):
        return (
            registry.counter("requests"),
            registry.gauge("same"),
            registry.bucket_histogram("sizes", bounds=(1.0,)),
            registry.counters("labelled", labels=("a",)).labels("x"),
        )

    def new(registry):
        return (
            registry.counter("requests"),
            registry.counter("same"),
            registry.bucket_histogram("sizes", bounds=(1.0, 2.0)),
            registry.counters("labelled", labels=("a", "b")).labels("x", "y"),
        )

    first, second = workers.start(old), workers.start(new)
    for worker in (first, second):
        worker.run("[made[0].inc(2), made[1].inc(3), made[2].update(1), made[3].inc()]")
    found = first.run("values()")
    assert found["requests_total"] == 4
    assert (found["same"], found["sizes_count"], found['labelled_total{a="x"}']) == (3, 1, 1)
    found = second.run("values()")
    assert found["requests_total"] == 4
    assert found["same_total"] == 3
    assert (found["sizes_count"], found['labelled_total{a="x",b="y"}']) == (1, 1)


def test_a_gauge_that_cannot_be_read_is_left_out_and_logged_once(workers: Workers, caplog):
    registry = Registry()

    def fail():
        raise OSError("no sensor")

    registry.register("sensor", Gauge(fail))
    registry.counter("requests").inc()
    with processes.share(registry, directory=workers.directory):
        assert values_of(registry)["requests_total"] == 1
        assert "sensor" not in values_of(registry)
    found = [r for r in caplog.records if "'sensor' cannot be read" in r.getMessage()]
    assert len([r for r in found if r.name == "metrics.integrations"]) == 1


def test_a_child_that_a_member_forks_joins_at_its_first_use(workers: Workers):
    registry = Registry()
    counter = registry.counter("requests")
    counter.inc(10)
    with processes.share(registry, directory=workers.directory) as member:

        def enter():
            from contextlib import nullcontext

            return nullcontext(
                {"counter": counter, "member": member, "values": lambda: values_of(registry)}
            )

        child = workers.enter(enter)
        child.run("counter.inc(3)")
        assert child.run("values()['requests_total']") == 13
        assert child.run("member.number") == 1
        assert values_of(registry)["requests_total"] == 13
        child.kill()
        assert values_of(registry)["requests_total"] == 13
        assert values_of(registry)["processes_workers"] == 1


def test_a_forked_child_that_only_updates_is_counted_when_it_ends(workers: Workers):
    registry = Registry()
    counter = registry.counter("requests")
    with processes.share(registry, directory=workers.directory) as member:
        pid = os.fork()
        if pid == 0:
            counter.inc(5)
            # As the interpreter does at its end.
            member._exit()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert values_of(registry)["requests_total"] == 5
        assert values_of(registry)["processes_workers"] == 1


def test_a_killed_member_with_a_living_child_is_an_ended_one(workers: Workers):
    """A child that kept the parent's lock would make it seem alive."""
    reader = workers.start(counting)
    first = workers.start(lambda registry: registry.gauge("load"))
    first.run("made.set(5)")
    child = first.run("os.fork() or os.read(os.pipe()[0], 1)")
    try:
        assert reader.run("values()['load']") == 5
        first.kill()
        assert "load" not in reader.run("values()")
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_fork_during_the_answer_to_a_request_does_not_delay_it(workers: Workers, monkeypatch):
    """A child that kept the connection would keep the reader waiting for the end of it."""
    children: list[int] = []
    workers.directory.mkdir()
    path = workers.directory / "first.sock"
    listener = refreshing.RefreshListener(path, lambda: children.append(waiting_child()))
    monkeypatch.setattr(refreshing, "REFRESH_SECONDS", 2 * DEADLINE)
    try:
        began = time.monotonic()
        refreshing.request_refresh([path])
        assert time.monotonic() - began < DEADLINE
    finally:
        listener.stop(None)
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)


def test_a_directory_that_was_removed_is_created_again(workers: Workers):
    import shutil

    first, second = workers.start(counting), workers.start(counting)
    first.run("made.inc(1)")
    second.run("made.inc(2)")
    shutil.rmtree(workers.directory)
    assert first.run("values()['requests_total']") == 1
    assert second.run("values()['requests_total']") == 3
    assert first.run("values()['requests_total']") == 3


def test_a_full_disk_shows_the_last_values(workers: Workers, monkeypatch, caplog):
    registry = Registry()
    counter = registry.counter("requests")
    counter.inc()
    with processes.share(registry, directory=workers.directory):
        with monkeypatch.context() as patch:
            patch.setattr(*REFUSALS["everything"])
            counter.inc()
            assert values_of(registry)["requests_total"] == 1
            assert values_of(registry)["requests_total"] == 1
        assert values_of(registry)["requests_total"] == 2
    assert len([r for r in caplog.records if "are not shared" in r.getMessage()]) == 1


write = directories.GroupDirectory.write


def refuse(*_):
    raise OSError(28, "No space left on device")


def refuse_values(directory, name, file):
    return write(directory, name, file) if name == directories.TOTAL else refuse()


REFUSALS = {
    "the process id": (directories.os, "write", refuse),
    "the socket": (refreshing.socket.socket, "bind", refuse),
    "the values": (directories.GroupDirectory, "write", refuse_values),
    "everything": (directories.GroupDirectory, "write", refuse),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_group_that_cannot_be_joined_keeps_no_thread_and_no_lock(
    workers: Workers, monkeypatch, refusal
):
    registry = Registry()
    registry.counter("requests").inc(2)
    with monkeypatch.context() as patch, no_leaks():
        patch.setattr(*refusal)
        with pytest.raises(OSError, match="No space left"):
            processes.share(registry, directory=workers.directory).__enter__()
    with processes.share(registry, directory=workers.directory) as member:
        assert values_of(registry)["requests_total"] == 2
        assert (member.number, member.count_workers()) == (0, 1)
    assert not workers.directory.exists()


def test_a_registry_that_failed_to_join_its_group_again_counts_once(workers: Workers, monkeypatch):
    reader = workers.start(counting)
    registry = Registry()
    counter = registry.counter("requests")
    with processes.share(registry, directory=workers.directory):
        counter.inc(3)
    with monkeypatch.context() as patch:
        patch.setattr(*REFUSALS["the values"])
        with pytest.raises(OSError, match="No space left"):
            processes.share(registry, directory=workers.directory).__enter__()
    with processes.share(registry, directory=workers.directory):
        counter.inc()
        assert values_of(registry)["requests_total"] == 4
        assert reader.run("values()['requests_total']") == 4


def spawned_child(directory, ready, leave):
    registry = Registry()
    registry.counter("requests").inc(4)
    with processes.share(registry, directory=directory):
        ready.set()
        leave.wait(30)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_of_the_group_of_their_parent(workers: Workers, method):
    context = multiprocessing.get_context(method)
    ready, leave = context.Event(), context.Event()
    child = context.Process(target=spawned_child, args=(workers.directory, ready, leave))
    registry = Registry()
    registry.counter("requests").inc(1)
    with processes.share(registry, directory=workers.directory):
        child.start()
        try:
            assert ready.wait(30)
            assert values_of(registry)["requests_total"] == 5
        finally:
            leave.set()
            child.join(30)
            child.close()
        assert values_of(registry)["requests_total"] == 5


kept = []


def exiting_child(directory, queue):
    registry = Registry()
    counter = registry.counter("requests")
    block = processes.share(registry, directory=directory)
    block.__enter__()
    kept.append(block)
    counter.inc(8)
    queue.put(None)


def test_a_child_of_multiprocessing_that_returns_loses_nothing(workers: Workers):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    registry = Registry()
    registry.counter("requests")
    with processes.share(registry, directory=workers.directory):
        child = context.Process(target=exiting_child, args=(workers.directory, queue))
        child.start()
        queue.get()
        child.join(30)
        child.close()
        queue.close()
        assert values_of(registry)["requests_total"] == 8


def test_concurrent_reads_of_one_process_agree(workers: Workers):
    worker = workers.start(counting)
    worker.run("made.inc(2)")
    registry = Registry()
    registry.counter("requests").inc()
    found = []
    with processes.share(registry, directory=workers.directory):
        threads = [
            threading.Thread(target=lambda: found.append(values_of(registry)["requests_total"]))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [3, 3, 3, 3]


def test_the_stale_checks_of_a_worker_run_at_its_ticks(workers: Workers):
    registry = Registry()
    ran = []
    registry.healthcheck("database", lambda: ran.append(1))
    with processes.share(registry, directory=workers.directory) as member:
        member.tick()
        until(lambda: ran, "the check runs")
