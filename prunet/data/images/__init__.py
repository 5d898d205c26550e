"""Images and their labels: the dataset file, decoding of image files, and statistics of pixels."""
