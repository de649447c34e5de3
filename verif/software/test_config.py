"""Configs that are inconsistent are refused by the name of a field."""

import dataclasses
import re

import pytest

from gemmary.config import PRESETS
from gemmary.errors import InputError
from gemmary.registers import constants
from verif.configs import TINY, TINY_PAIR, TINY_WINDOW


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (TINY, {"multiplier": "half"}, 'multiplier = \'half\': must be "plain" or "pair"'),
        (TINY_PAIR, {"dot": 1}, "dot = 1: must be at least 2 with multiplier"),
        (TINY_WINDOW, {"multiplier": "pair"}, "window_line = 16: must be 0 with multiplier"),
        (PRESETS["nano"], {"multiplier": "pair"}, "multiplier = 'pair': must be \"plain\" without dma"),
    ],
)
def test_wrong_multipliers_are_refused(config, changes, message):
    with pytest.raises(InputError, match=re.escape(f"config field {message}")):
        dataclasses.replace(config, **changes)


def test_a_pair_array_has_the_same_peak_and_says_what_it_is():
    plain = dataclasses.replace(TINY_PAIR, multiplier="plain")
    assert TINY_PAIR.macs_per_cycle == plain.macs_per_cycle == 32
    assert TINY_PAIR.identity != plain.identity
    assert constants(TINY_PAIR)["FEATURES"] - constants(plain)["FEATURES"] == 1 << 2
