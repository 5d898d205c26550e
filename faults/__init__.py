"""What must not lose anything: campaigns of faults against the pipeline and its parts."""
