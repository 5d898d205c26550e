"""Analysis: statistics over replicates, comparisons of schemes, tables, and the figures drawn from them."""
