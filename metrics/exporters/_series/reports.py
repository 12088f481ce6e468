"""Records that one destination has, kept between reports."""

from typing import Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")


@final
class ReportRecords(Generic[K, V]):
    """Records of the last complete report and of the present one, by key.

    Memory is bounded by the keys of two reports. For one thread.
    """

    __slots__ = ("known", "present")

    def __init__(self) -> None:
        self.known: dict[K, V] = {}
        self.present: dict[K, V] = {}

    def begin(self) -> None:
        """Begin a report."""
        # Some of an abandoned report may have been sent.
        self.known.update(self.present)
        self.present = {}

    def end(self) -> None:
        """End a report, and drop the keys that it did not have."""
        self.known = self.present
        self.present = {}
