"""Applying an exported ticket to a user's images: naming people on photos, reading handwritten digits."""
