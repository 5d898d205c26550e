"""Basics shared by all of prunet: errors, files, tensors, tables, seeds, processes and code digests."""
