"""The networks and their training, on PyTorch."""
