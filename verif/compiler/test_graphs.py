"""Random models: the reference before and after the passes, the emulator and the RTL agree in every bit."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmary.config import preset
from verif.compiler.agreement import check
from verif.compiler.graphs import models
from verif.configs import TINIES

SMALL = preset("small")
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=6, suppress_health_check=QUIET)
@given(models())
def test_a_few_random_models(drawn):
    check(*drawn, SMALL)


@pytest.mark.nightly
@settings(max_examples=100, suppress_health_check=QUIET)
@given(models())
def test_random_models_on_the_rtl(drawn):
    check(*drawn, SMALL, ("emulator", "rtl"))


@pytest.mark.nightly
@settings(max_examples=100, suppress_health_check=QUIET)
@given(models(), st.sampled_from((*TINIES, preset("base"))))
def test_random_models_of_all_configs(drawn, config):
    check(*drawn, config)
