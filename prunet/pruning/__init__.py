"""Decisions of a round: the weights or units to remove."""
