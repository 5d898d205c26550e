"""From a list of addresses to gray faces and their split."""
