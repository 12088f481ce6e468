import gc
import weakref

import pytest

from metrics import Healthcheck, HealthcheckError, HealthcheckSnapshot


def failing(error):
    def function():
        raise error

    return Healthcheck(function)


@pytest.mark.parametrize("answer", [None, True, 0, "", "text"])
def test_any_answer_but_false_is_healthy(answer):
    check = Healthcheck(lambda: answer)
    assert check.check() is True
    assert check.error is None
    assert check.snapshot() == HealthcheckSnapshot(None)


def test_false_is_unhealthy_and_names_the_function():
    def database():
        return False

    check = Healthcheck(database)
    assert check.check() is False
    assert isinstance(check.error, HealthcheckError)
    assert "database" in check.snapshot().error


def test_an_exception_is_kept_and_told_in_one_line():
    error = ConnectionError("refused\n  by peer")
    check = failing(error)
    assert check.check() is False
    assert check.error is error
    assert check.snapshot().to_dict() == {"error": "refused by peer"}


def test_an_exception_without_a_message_is_told_by_its_type():
    check = failing(TimeoutError())
    check.check()
    assert check.snapshot().error == "TimeoutError"


def test_a_check_that_recovers_forgets_its_error():
    outcomes = iter([False, True])
    check = Healthcheck(lambda: next(outcomes))
    assert [check.check(), check.check()] == [False, True]
    assert check.error is None


def test_reading_does_not_run_the_function():
    check = failing(OSError("never seen"))
    assert check.snapshot().error is None
    assert check.error is None


def test_an_interrupt_is_not_an_outcome():
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt()).check()


def test_a_kept_error_does_not_keep_the_frames_it_went_through():
    class Large:
        pass

    seen = []

    def function():
        large = Large()
        seen.append(weakref.ref(large))
        raise OSError

    check = Healthcheck(function)
    check.check()
    gc.collect()
    assert isinstance(check.error, OSError)
    assert seen[0]() is None


def test_the_repr_shows_the_outcome():
    check = failing(OSError("broken"))
    check.check()
    assert "OSError('broken')" in repr(check)
