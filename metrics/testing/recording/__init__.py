"""Recording: the changes of a registry's instruments while a block runs.

`Changes` are the whole registry's, a `Change` is one instrument's. Tracks follow each instrument
from the beginning to the end, and tapes record every value of a histogram.
"""

from metrics.testing.recording._block import assert_recorded, recorded
from metrics.testing.recording._change import Change, FamilyChange
from metrics.testing.recording._changes import Changes

__all__ = ["Change", "Changes", "FamilyChange", "assert_recorded", "recorded"]
