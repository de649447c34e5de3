"""Example networks: their description, weights and test data."""
