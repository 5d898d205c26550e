"""Training a study's networks under masks: batches, steps, checkpoints, and many networks side by side."""
