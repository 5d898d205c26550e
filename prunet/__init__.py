"""Neural-network pruning and the lottery ticket hypothesis, as a library of small functions."""
