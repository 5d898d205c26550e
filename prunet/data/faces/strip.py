"""Figure of images in a grid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

WIDTH = 7  # inches; the text width of a two-column paper


def save_strip(
    path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], headings: Sequence[str], title: str
) -> None:
    """Draw images in a grid and save the figure as a PNG; equal images give equal bytes.

    Args:
        path: the file to write.
        rows: images of each row, (H, W, 3) or (H, W) uint8.
        headings: headings of the columns; none if empty.
        title: title of the figure.
    """
    columns = max(len(row) for row in rows)
    with rc_context({"font.size": 8}):
        figure = Figure(figsize=(WIDTH, WIDTH * len(rows) / columns + 0.4), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, images in zip(grid, rows, strict=True):
            for axes, image in zip(line, images, strict=False):
                axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        for axes, heading in zip(grid[0], headings, strict=False):
            axes.set_title(heading)
        figure.suptitle(title)
        figure.savefig(path, format="png", dpi=200, metadata={"Software": None})
