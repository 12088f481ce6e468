"""Inner face of the instruments, for the rest of the library.

Programs use `metrics`; nothing here is a promise to them. `Family` is the compiled class, which
compiled code recognizes faster than the generic one of type checkers.
"""

from metrics.instruments._arguments import Real as Real
from metrics.instruments._arguments import Whole as Whole
from metrics.instruments._arguments import amount as amount
from metrics.instruments._arguments import check_methods as check_methods
from metrics.instruments._arguments import checked_clock as checked_clock
from metrics.instruments._arguments import finite as finite
from metrics.instruments._arguments import integer as integer
from metrics.instruments._arguments import natural as natural
from metrics.instruments._arguments import positive as positive
from metrics.instruments._arguments import size as size
from metrics.instruments._blocks import NO_BLOCK as NO_BLOCK
from metrics.instruments._blocks import NoBlock as NoBlock
from metrics.instruments._buckets import DURATION_BOUNDS as DURATION_BOUNDS
from metrics.instruments._buckets import default_bounds as default_bounds
from metrics.instruments._calls import call as call
from metrics.instruments._check_function import describe as describe
from metrics.instruments._cumulative import Cumulative as Cumulative
from metrics.instruments._cumulative import Traceable as Traceable
from metrics.instruments._ewma import INTERVAL as INTERVAL
from metrics.instruments._exemplars import ExemplarFunction as ExemplarFunction
from metrics.instruments._exemplars import Exemplars as Exemplars
from metrics.instruments._exemplars import ExemplarSource as ExemplarSource
from metrics.instruments._family import Family as Family
from metrics.instruments._healthcheck import TIMEOUT as TIMEOUT
from metrics.instruments._healthcheck import refresh as refresh
from metrics.instruments._labels import checked_labelnames as checked_labelnames
from metrics.instruments._labels import checked_labels as checked_labels
from metrics.instruments._labels import escape_label as escape_label
from metrics.instruments._labels import label_text as label_text
from metrics.instruments._labels import legacy_label as legacy_label
from metrics.instruments._labels import text_of as text_of
from metrics.instruments._reservoir import RANDOM as RANDOM
from metrics.instruments._reservoir import RandomSource as RandomSource
from metrics.instruments._reservoir import Reservoir as Reservoir
from metrics.instruments._sample import QUANTILES as QUANTILES
from metrics.instruments._sample import total as total
from metrics.instruments._shared import Point as Point
from metrics.instruments._shared import Shared as Shared
from metrics.instruments._snapshot import Tickable as Tickable
from metrics.instruments._snapshot import TickSource as TickSource
from metrics.instruments._state_set import checked_states as checked_states
from metrics.instruments._wrapping import surround_generator as surround_generator
