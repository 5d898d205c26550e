"""Structure of any network: the units that go together, found on the graph that `torch.export` writes."""
