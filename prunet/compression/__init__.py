"""Low rank, quantisation and trained codebooks: what makes a network smaller besides pruning."""
