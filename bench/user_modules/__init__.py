"""Small networks as users write them: one construct each, to test that any network can be pruned."""
