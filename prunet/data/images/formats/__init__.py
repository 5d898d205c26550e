"""Formats of picture files: which are read, what the others are, and what Pillow does not do by itself."""
