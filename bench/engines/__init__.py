"""Engines that might run a sparse network quickly, beside dense ones and prunet's forms."""
