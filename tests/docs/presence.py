"""The documentation, which is not beside an installed library."""

import pytest

from tests.docs.pages import DOCS

present = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not installed")
