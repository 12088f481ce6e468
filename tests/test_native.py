import subprocess
import sys
from pathlib import Path

import pytest

import metrics
from metrics._native import i64, mypyc_attr, vec


def test_a_class_is_left_as_it_is():
    class Kind:
        pass

    assert mypyc_attr(allow_interpreted_subclasses=True)(Kind) is Kind


def test_interpreted_a_vec_is_a_list():
    copied = vec[i64]((1, 2))
    assert (type(copied), copied, copied[:]) == (list, [1, 2], [1, 2])


@pytest.mark.skipif(metrics.COMPILED, reason="compiled code needs the runtime library of mypyc")
def test_interpreted_the_library_needs_nothing_of_the_compiler():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('librt', 'mypy_extensions', 'mypyc')))\n"
        "from metrics import *\n"
        "histogram = BucketHistogram((1, 2)); histogram.update(1.5)\n"
        "print(histogram.snapshot().counts)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "(0, 1, 0)\n"
