"""Download of the photos on a scraping list, safe against slow, hostile and private servers."""
