"""What the blocks of params.yaml may hold."""
