"""Search for the most accurate compression within a budget."""
