"""The report: one HTML page of a study, which opens without a network connection."""
