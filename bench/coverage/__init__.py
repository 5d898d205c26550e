"""Coverage: the networks that can be pruned by whole units, and whether the smaller network is equal."""
