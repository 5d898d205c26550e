"""Local page on which a person leaves out wrong faces, or moves them to another person."""
