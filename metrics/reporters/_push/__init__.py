"""Push loop of all destinations: read at each interval, deliver in order, retry, stop in time."""
