"""Built-in networks, their initial weights, and their prunable tensors."""
