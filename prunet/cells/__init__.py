"""Cells: the networks of one scheme at one round, and their masks, weights and results on disk."""
