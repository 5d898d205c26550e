"""Image sets: what becomes the dataset file of every study but those of faces."""
