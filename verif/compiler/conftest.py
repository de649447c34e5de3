"""Hypothesis draws the same examples each time, and a slow machine fails no test."""

from hypothesis import settings

settings.register_profile("gemmary", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("gemmary")
