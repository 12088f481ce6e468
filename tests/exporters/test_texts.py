"""Names, labels and facts stand on one line, whatever they hold."""

import json

from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters.series import series
from metrics.exporters.texts import facts_text, key_of, labels_of, one_line


def test_the_key_of_a_child_has_its_labels():
    registry = Registry("geth")
    registry.counter("hits", labels=("method", "status")).labels("GET", 200)
    (one,) = series(registry, "")
    assert labels_of(one) == '{method="GET",status="200"}'
    assert key_of(one) == 'geth/hits{method="GET",status="200"}'


def test_the_key_of_an_instrument_without_labels_is_its_name():
    registry = Registry()
    registry.counter("hits")
    (one,) = series(registry, "")
    assert (labels_of(one), key_of(one)) == ("", "hits")


@given(st.dictionaries(st.text(), st.text()))
def test_facts_are_a_json_object_in_order_of_names(facts):
    text = facts_text(facts)
    assert json.loads(text) == facts
    assert list(json.loads(text)) == sorted(facts)


@given(st.text(alphabet=st.characters()))
def test_a_line_is_one_line_on_every_terminal(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) == (1 if text else 0)


@given(st.text().filter(str.isprintable))
def test_what_is_printable_stays_as_it_is(text):
    assert one_line(text) == text


def test_what_is_not_printable_is_escaped():
    assert one_line("a\r\n\x1b[2J\u2028\u202e\ud800") == r"a\r\n\x1b[2J\u2028\u202e\ud800"
