"""Photos collected from the web, published image sets, and the dataset file that training reads."""
