"""Lists of photos: the scraping list, and the manifests that record the outcome of every row."""
