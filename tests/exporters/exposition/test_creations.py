from metrics.exporters.exposition.creations import SEQUENCE, Creations


def test_a_page_that_read_before_another_takes_no_reset_from_it():
    creations = Creations("x_created", ())
    earlier = next(SEQUENCE)
    # The other page began later, read more, and was first to write it down.
    first = creations.line((), 7, next(SEQUENCE), 1.0)
    assert creations.line((), 5, earlier, 2.0) == first == "x_created 1.0\n"
    # Of what the earlier one read nothing is left that a third page could mistake.
    assert creations.line((), 6, next(SEQUENCE), 3.0) == "x_created 3.0\n"
    assert creations.line((), 6, next(SEQUENCE), 4.0) == "x_created 3.0\n"


def test_what_is_gone_is_forgotten():
    creations = Creations("x_created", ("a",))
    for value in ("1", "2"):
        creations.line((value,), 1, next(SEQUENCE), 1.0)
    creations.retain([("2",)])
    assert creations.line(("1",), 1, next(SEQUENCE), 2.0) == 'x_created{a="1"} 2.0\n'
    assert creations.line(("2",), 1, next(SEQUENCE), 2.0) == 'x_created{a="2"} 1.0\n'
