"""The networks: their layers, and which units of these go together."""
