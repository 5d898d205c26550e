"""What a network costs: bytes, memory, operations, milliseconds."""
