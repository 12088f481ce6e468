"""The leak check: what a block leaves running or open, and where that was started.

A `check` takes an `inventory` before and after, and tells the difference, but for what has an
excuse (`excuses`, `allowances`) or belongs to something that was there (`owners`, `runners`).
`origins` remember where things are started while a check is on, `dropped` which containers were
collected while they ran; `naming` and `places` say it to the reader. Nothing here knows pytest.
"""

from metrics.testing.leaks.check import LeakError, assert_no_leaks, no_leaks
from metrics.testing.leaks.naming import Leak

__all__ = ["Leak", "LeakError", "assert_no_leaks", "no_leaks"]
