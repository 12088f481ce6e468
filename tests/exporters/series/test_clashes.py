"""What is left out is logged once for each name, and not each time a page is made."""

from metrics.exporters._series.clashes import warn_once


def test_it_is_said_once_for_each_that_is_left_out(caplog):
    for _ in range(2):
        for name in ("clash/one", "clash/two"):
            warn_once(name, "clash", "clash/three")
    assert [record.getMessage() for record in caplog.records] == [
        "'clash/one' is left out: 'clash' is the name of 'clash/three' already",
        "'clash/two' is left out: 'clash' is the name of 'clash/three' already",
    ]
