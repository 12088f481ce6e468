"""Leak check: running and open objects that a block leaves, with the lines that started them.

A `check` takes an `inventory` before and after, and reports the difference, without the objects
that have an excuse (`excuses`, `process_wide`, `allowances`) or belong to one that was there before
(`owners`, `runners`). `origins` records where objects are started while a check is on, `dropped`
the containers that were collected while they ran; `blocking` samples event loops; `naming` and
`places` word the report. Nothing here knows pytest.
"""

from metrics.testing.leaks._check import LeakError, assert_no_leaks, no_leaks
from metrics.testing.leaks._naming import Leak, LeakWarning

__all__ = ["Leak", "LeakError", "LeakWarning", "assert_no_leaks", "no_leaks"]
