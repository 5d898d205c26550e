"""Schema of params.yaml, and the parameters of each stage."""
