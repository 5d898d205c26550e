"""What training costs here, beside the machine's peak and beside a plain training loop: `python -m bench`."""
