"""Pruning in loops of one's own: run each as `python -m examples.NAME`."""
