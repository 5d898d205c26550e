"""Feature graph of a network: units that are removed together, and shrinking of what pruning left unused."""
