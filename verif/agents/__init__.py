"""What benches and tests share: stimuli, drivers, checkers. No tests."""
