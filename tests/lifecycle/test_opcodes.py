"""A signal at any opcode of a start or a stop is neither lost nor leaves a resource running."""

import pytest

from tests.lifecycle.interruptions import LIMITS
from tests.lifecycle.programs import call


@pytest.mark.parametrize("mode", LIMITS)
def test_a_signal_anywhere_in_a_block_ends_it_with_all_resources_stopped(mode):
    call("interruptions:interrupt_blocks", mode)


@pytest.mark.parametrize("mode", LIMITS)
def test_a_keyboard_interrupt_anywhere_leaves_everything_to_a_later_stop(mode):
    call("interruptions:interrupt_starts_and_stops", mode)
