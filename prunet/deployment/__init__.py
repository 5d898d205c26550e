"""Forms of a trained ticket that people can take away and use."""
