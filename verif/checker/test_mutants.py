"""Mutants of compiled streams are caught: all that another order of the engines turns harmful, nearly all of the others."""

import numpy as np
import pytest

from gemmary.compiler.checker import CheckError, check_program, require_legal
from verif.checker.interleavings import behaviour
from verif.checker.mutation import mutant
from verif.checker.programs import case, cases, program
from verif.checker.score import changed, measure, table

FAST = ("transposed operand", "groups", "depthwise, stride 2", "int32")


def test_a_sample():
    score = measure({name: case(name) for name in FAST}, 8, seed=1)
    assert _share(score, "order") == 1, score.missed
    assert _share(score, "value") >= 0.8, score.missed


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4))
def test_many(seed):
    score = measure(cases(), 100, seed)
    print(table(score))
    assert _share(score, "order") == 1, score.missed
    assert _share(score, "value") >= 0.85, score.missed


def test_the_message_names_both_instructions_and_the_layer():
    original = program("groups")
    (run,) = original.layers[0].runs
    found = mutant(run.code, "dropped order", np.random.default_rng(0))
    with pytest.raises(
        CheckError, match=r"instruction \d+ \(\w+, layer 'conv'\) .* instruction \d+ \(\w+, layer 'conv'\)"
    ):
        require_legal(changed(original, found.code))


def test_good_programs_do_right_in_every_order_that_is_explored():
    """So what the exploration holds against a mutant is the mutation."""
    for name in FAST[:2]:
        assert behaviour(case(name), case(name).program, 0) == "none"
        assert not check_program(case(name).program)


def _share(score, kind):
    caught, all_of_them = score.caught(kinds=(kind,))
    assert all_of_them
    return caught / all_of_them
