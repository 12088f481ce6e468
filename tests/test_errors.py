import copy
import pickle

import pytest

import metrics
from metrics import (
    CheckError,
    DuplicateMetricError,
    HealthcheckError,
    MetricsError,
    MetricTypeError,
    NotRunningError,
    ShutdownError,
    StartTimeoutError,
    StopTimeoutError,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (DuplicateMetricError, ValueError),
        (MetricTypeError, TypeError),
        (HealthcheckError, Exception),
        (NotRunningError, RuntimeError),
        (CheckError, RuntimeError),
        (StartTimeoutError, TimeoutError),
        (StopTimeoutError, TimeoutError),
        (ShutdownError, ExceptionGroup),
    ],
)
def test_each_error_is_the_librarys_and_the_built_in_one(error, builtin):
    assert issubclass(error, MetricsError)
    assert issubclass(error, builtin)
    assert getattr(metrics, error.__name__) is error


def test_every_exported_exception_is_a_metrics_error():
    exported = [getattr(metrics, name) for name in metrics.__all__]
    errors = [x for x in exported if isinstance(x, type) and issubclass(x, BaseException)]
    assert len(errors) == 10
    assert all(issubclass(error, MetricsError) for error in errors)


def shutdown_error() -> ShutdownError:
    return ShutdownError("2 parts failed", [ValueError("pusher"), OSError("server")])


def test_a_shutdown_error_holds_what_each_part_raised():
    error = shutdown_error()
    assert error.message == "2 parts failed"
    assert [type(part) for part in error.exceptions] == [ValueError, OSError]
    assert str(error) == "2 parts failed (2 sub-exceptions)"


def test_except_star_picks_from_a_shutdown_error():
    picked: list[ExceptionGroup[Exception]] = []
    try:
        raise shutdown_error()
    except* ValueError as group:
        picked.append(group)
    except* OSError as group:
        picked.append(group)
    assert [[str(part) for part in group.exceptions] for group in picked] == [
        ["pusher"],
        ["server"],
    ]


def test_what_except_star_leaves_is_raised_on_with_its_message():
    def handle_one() -> None:
        try:
            raise shutdown_error()
        except* ValueError:
            pass

    with pytest.raises(ExceptionGroup, match="2 parts failed") as raised:
        handle_one()
    assert [str(part) for part in raised.value.exceptions] == ["server"]


def test_split_and_subgroup_keep_message_and_notes():
    error = shutdown_error()
    error.add_note("while closing")
    matching, rest = error.split(ValueError)
    assert matching is not None
    assert rest is not None
    assert [str(part) for part in matching.exceptions] == ["pusher"]
    assert [str(part) for part in rest.exceptions] == ["server"]
    for part in (matching, rest, error.subgroup(OSError)):
        assert part is not None
        assert part.message == "2 parts failed"
        assert part.__notes__ == ["while closing"]


def test_a_subgroup_that_holds_everything_is_the_error_itself():
    error = shutdown_error()
    assert error.subgroup(Exception) is error
    assert error.subgroup(KeyError) is None


def test_a_part_of_a_shutdown_error_is_a_shutdown_error():
    error = shutdown_error()
    parts = [*error.split(ValueError), error.subgroup(OSError), error.derive([KeyError()])]
    assert [type(part) for part in parts] == [ShutdownError] * 4


def test_a_shutdown_error_holds_no_interrupts_and_is_never_empty():
    with pytest.raises(TypeError):
        ShutdownError("stopping", [KeyboardInterrupt()])
    with pytest.raises(ValueError, match="non-empty"):
        ShutdownError("stopping", [])


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_shutdown_error_survives_copying_and_pickling(copied):
    error = copied(shutdown_error())
    assert type(error) is ShutdownError
    assert error.message == "2 parts failed"
    assert [type(part) for part in error.exceptions] == [ValueError, OSError]


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_check_error_keeps_its_problems_when_it_is_copied_and_pickled(copied):
    original = CheckError("2 problems\n- a\n- b", ["a", "b"])
    original.add_note("while starting")
    error = copied(original)
    assert type(error) is CheckError
    assert str(error) == "2 problems\n- a\n- b"
    assert error.problems == ("a", "b")
    assert error.__notes__ == ["while starting"]
