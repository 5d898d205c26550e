"""Embedded face sample: photos of imaginary people, drawn with NumPy.

A head is an ellipsoid with a relief (nose, eye sockets, lips, ...). It is rotated in three dimensions,
projected without perspective, painted part by part, and lit by one lamp and ambient light.

Lengths are in head units: 1 is half the height of the head, from its centre to the chin. In the head's own
axes, x points to the right of the picture, y down and z towards the camera. Colours are RGB, 0 (black) to 1
(white); a mask is 0 (transparent) to 1 (opaque). Functions named `paint_...` and `draw_...` paint on the
float32 canvas that they are given. A `unit` is the length of 1 head unit in pixels.
"""
