"""Places of requests under the limit of a server, which endless responses leave to others."""

from collections.abc import Callable
from typing import Any, final

PLACE = "metrics.integrations.uvicorn.place"
"""Key of the scope for the `RequestPlace` of a request to `metrics.integrations.uvicorn.serve`."""

End = Callable[[], object]
"""Function that ends a stream soon; called in the event loop."""


@final
class Places:
    """Requests under way and streams of one server. For its event loop alone."""

    __slots__ = ("_ends", "is_stopping", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.is_stopping = False
        self._ends: dict[RequestPlace, End] = {}

    def stop(self) -> None:
        """End all streams, because the server stops."""
        self.is_stopping = True
        for end in list(self._ends.values()):
            end()

    def add_stream(self, place: "RequestPlace", end: End) -> None:
        """Have a stream ended at the stop of the server, now if it is stopping already."""
        self._ends[place] = end
        if self.is_stopping:
            end()

    def remove_stream(self, place: "RequestPlace") -> None:
        """Leave a stream that has ended alone."""
        self._ends.pop(place, None)


@final
class RequestPlace:
    """Place of one request under the limit of its server.

    Args:
        places: the places of its server.
    """

    __slots__ = ("_is_free", "_places")

    def __init__(self, places: Places) -> None:
        self._places = places
        self._is_free = False
        places.taken += 1

    def stream(self, end: End) -> None:
        """Leave the place to other requests, because the response is a stream.

        Args:
            end: called when the server stops.
        """
        self._leave()
        self._places.add_stream(self, end)

    def release(self) -> None:
        """Leave the place: the response is complete."""
        self._leave()
        self._places.remove_stream(self)

    def _leave(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._places.taken -= 1


def place_of(scope: Any) -> RequestPlace | None:
    """Return the place of a request; None on another server."""
    place = scope.get(PLACE)
    return place if isinstance(place, RequestPlace) else None
