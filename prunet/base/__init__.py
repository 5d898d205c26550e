"""What everything stands on: files, tensors, seeds, the dataset file, and the error that a person reads."""
