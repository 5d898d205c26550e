"""Building blocks of the schemes in prunet/schemes."""
