"""Figure of confusion matrices."""

import numpy as np
import pandas as pd
from anyascii import anyascii
from matplotlib import rc_context
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from prunet.analysis.canvas import DPI, STYLE, WIDTH

NAMED = 12  # classes whose names fit beside the matrix
LATIN = 0x250  # code points below it are in every font
LONGEST = 12  # letters of a name


def confusion(table: pd.DataFrame, title: str) -> Figure:
    """Draw a matrix for each scheme, dark where many images of a class (row) got a name (column).

    The shades follow the square root of the share, so that rare mistakes show.

    Args:
        table: `scheme`, `density`, and the columns of `mistakes.confusion`.
        title: of the figure.
    """
    groups = list(table.groupby("scheme", sort=False))
    names = list(dict.fromkeys(table["true"]))
    with rc_context(STYLE):
        figure = Figure(figsize=(2 * WIDTH, WIDTH + 0.5), dpi=DPI, layout="constrained")
        figure.suptitle(title, fontsize=9)
        for axes, (scheme, rows) in zip(
            figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True
        ):
            matrix = rows.pivot_table(index="true", columns="named", values="share", fill_value=0.0)
            matrix = matrix.reindex(index=names, columns=names, fill_value=0.0)
            axes.imshow(matrix, cmap="Greys", norm=PowerNorm(0.5, 0, 1))
            axes.set(title=f"{scheme}, {rows['density'].iloc[0]:.1%}", xlabel="named", ylabel="true")
            axes.set(xticks=[], yticks=[])
            if len(names) <= NAMED:
                labels = [spelt(name) for name in names]
                axes.set_xticks(range(len(names)), labels, rotation=90, parse_math=False)
                axes.set_yticks(range(len(names)), labels, parse_math=False)
                for (row, column), share in np.ndenumerate(matrix.to_numpy()):
                    if share:
                        color = "white" if share > 0.3 else "black"
                        axes.text(
                            column, row, f"{100 * share:.0f}", ha="center", va="center", color=color, size=6
                        )
    return figure


def spelt(name: str) -> str:
    """Return a name in letters that every font has, cut to `LONGEST`."""
    text = "".join(c if ord(c) < LATIN else anyascii(c) for c in name if c.isprintable())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
