"""Test plan, golden models, benches and agents; imported by nothing."""
