"""Instruments that a program updates, one kind a module, and the reservoirs behind the histograms.

Updates take no lock and do no I/O. They rely on CPython: no other thread runs between statements
that hold no call and no backward jump, so a read-modify-write of a single statement is whole.
"""

from metrics.instruments._bucket_snapshot import BucketHistogramSnapshot as BucketHistogramSnapshot
from metrics.instruments._buckets import BucketHistogram as BucketHistogram
from metrics.instruments._counter import Counter as Counter
from metrics.instruments._counter import CounterSnapshot as CounterSnapshot
from metrics.instruments._counter import FloatCounter as FloatCounter
from metrics.instruments._counter import FloatUpDownCounter as FloatUpDownCounter
from metrics.instruments._counter import UpDownCounter as UpDownCounter
from metrics.instruments._counter import UpDownCounterSnapshot as UpDownCounterSnapshot
from metrics.instruments._ewma import EWMA as EWMA
from metrics.instruments._expdecay import ExpDecayReservoir as ExpDecayReservoir
from metrics.instruments._family import FamilySnapshot as FamilySnapshot
from metrics.instruments._gauge import Gauge as Gauge
from metrics.instruments._gauge import GaugeSnapshot as GaugeSnapshot
from metrics.instruments._gauge import IntGauge as IntGauge
from metrics.instruments._healthcheck import Healthcheck as Healthcheck
from metrics.instruments._healthcheck import HealthcheckSnapshot as HealthcheckSnapshot
from metrics.instruments._histogram import Histogram as Histogram
from metrics.instruments._info import Info as Info
from metrics.instruments._info import InfoSnapshot as InfoSnapshot
from metrics.instruments._meter import Meter as Meter
from metrics.instruments._meter import MeterSnapshot as MeterSnapshot
from metrics.instruments._resetting import ResettingReservoir as ResettingReservoir
from metrics.instruments._resetting_timer import ResettingTimer as ResettingTimer
from metrics.instruments._sample import HistogramSnapshot as HistogramSnapshot
from metrics.instruments._snapshot import Exemplar as Exemplar
from metrics.instruments._snapshot import Instrument as Instrument
from metrics.instruments._snapshot import Snapshot as Snapshot
from metrics.instruments._state_set import StateSet as StateSet
from metrics.instruments._state_set import StateSetSnapshot as StateSetSnapshot
from metrics.instruments._timer import Timer as Timer
from metrics.instruments._timer import TimerSnapshot as TimerSnapshot
from metrics.instruments._typed_family import Family as Family
from metrics.instruments._uniform import UniformReservoir as UniformReservoir
