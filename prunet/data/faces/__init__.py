"""Faces from photos: detection with MTCNN, square crops, gray images, and sheets for checking them."""
