"""Shrinking of pruned networks: plain, smaller networks with the same outputs."""
