"""Names, labels and facts stand on one line, whatever they hold."""

import json

from hypothesis import given
from hypothesis import strategies as st

from metrics import InfoSnapshot
from metrics.exporters.writing.texts import info_text, one_line


@given(st.dictionaries(st.text(), st.text()))
def test_facts_are_a_json_object_in_order_of_names(facts):
    text = info_text(InfoSnapshot(facts))
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
