"""Named studies: one folder each, with what differs from params.yaml in study.yaml, and the results."""
