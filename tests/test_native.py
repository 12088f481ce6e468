from metrics._native import mypyc_attr


def test_a_class_is_left_as_it_is():
    class Kind:
        pass

    assert mypyc_attr(allow_interpreted_subclasses=True)(Kind) is Kind
