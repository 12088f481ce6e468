"""Recording: what changes in a registry while a `block` runs.

`changes` are those of the whole registry, a `change` is that of one instrument. `tracks` follow
each instrument from the beginning to the end, and `tapes` write down every value of a histogram.
"""

from metrics.testing.recording.block import assert_recorded, recorded
from metrics.testing.recording.change import Change, FamilyChange
from metrics.testing.recording.changes import Changes

__all__ = ["Change", "Changes", "FamilyChange", "assert_recorded", "recorded"]
