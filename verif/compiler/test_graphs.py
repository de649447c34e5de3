"""Random models: reference before and after the passes, and the emulator, agree in every bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled
from gemmary.compiler.passes import run_pipeline
from gemmary.config import preset
from gemmary.runtime.device import open_device
from verif.compiler.graphs import models

SMALL = preset("small")
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def check(drawn):
    model, inputs = drawn
    expected, text = ir.interpret(model, inputs), model.text()
    assert ir.parse(text, model.context.arrays).text() == text
    for lowered in (ir.parse(text, model.context.arrays), run_pipeline(model)):
        compiled = decode_compiled(encode_compiled(compile_model(lowered, SMALL)))
        found = run_compiled(compiled, open_device("emulator", SMALL), inputs).outputs
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


@settings(max_examples=6, suppress_health_check=QUIET)
@given(models())
def test_a_few_random_models(drawn):
    check(drawn)


@pytest.mark.nightly
@settings(max_examples=100, suppress_health_check=QUIET)
@given(models())
def test_random_models(drawn):
    check(drawn)
