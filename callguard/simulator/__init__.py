"""A simulated workspace."""
