"""Benchmarks of training, inference and data preparation: `python -m bench`."""
