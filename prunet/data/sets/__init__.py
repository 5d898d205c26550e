"""Data sets of the studies, each read by one function and divided into train, val and test."""
