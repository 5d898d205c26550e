"""Photos of imaginary people, drawn with NumPy: the embedded face sample, in which nobody real is shown.

A head is an ellipsoid with a relief (nose, eye sockets, lips, ...). It is turned in three dimensions, seen
from the front without perspective, painted part by part, and lit by one lamp plus light from all sides.

Lengths are in head units: 1 is half the height of the head, from its centre to the chin. In the head's own
axes x runs to the right of the picture, y down and z towards the camera. Colours are RGB, 0 (black) to 1
(white); a mask is 0 (nothing is painted) to 1 (all of it is). `paint_...` and `draw_...` functions paint on
the float32 canvas that they get. A `unit` is the length of 1 head unit in pixels.
"""
