"""Masks, and what they leave: NumPy alone, so that small stages start without PyTorch."""
