"""Feature graph of a network: the units that are removed together."""
