"""Learning curves drawn with characters, while networks train."""

from pathlib import Path

import pandas as pd

MOST = 6  # cells that are drawn: those that were evaluated last
COLORS = ("blue+", "orange+", "green+", "red+", "magenta+", "cyan+")


def draw(table: pd.DataFrame, title: str, width: int, height: int) -> str:
    """Return the validation accuracy of the cells that train now, by step, and a line for each of them.

    Args:
        table: the columns `cell`, `network`, `step`, `val_loss`, `val_accuracy`, a row for each evaluation.
        title: of the figure.
        width, height: of the figure, in characters.
    """
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    plotext.title(title)
    plotext.xlabel("step")
    latest = table["cell"].drop_duplicates(keep="last").tail(MOST)
    lines = []
    for cell, color in zip(latest, COLORS, strict=False):
        rows = table[table["cell"] == cell]
        mean = rows.groupby("step")["val_accuracy"].mean()
        plotext.plot(mean.index.tolist(), (100 * mean).tolist(), label=cell, color=color)
        lines.append(_line(cell, rows))
    return "\n".join([plotext.build(), *lines])


def _line(cell: str, rows: pd.DataFrame) -> str:
    last = rows.groupby("network").tail(1)
    first, furthest = last["step"].min(), last["step"].max()
    steps = f"step {furthest}" if first == furthest else f"steps {first} to {furthest}"
    return (
        f"{cell}: {len(last)} network{'s' * (len(last) > 1)}, {steps}, validation accuracy "
        f"{last['val_accuracy'].mean():.1%}, loss {last['val_loss'].mean():.4f}"
    )


def newest(checkpoints: Path) -> Path | None:
    """Return the table of curves that was written last below a folder of checkpoints, or None."""
    return max(checkpoints.glob("*/live.csv"), key=lambda path: path.stat().st_mtime, default=None)


def read(path: Path) -> pd.DataFrame:
    """Read a table of curves, which may be written at the moment, without a last row that is cut off."""
    return pd.read_csv(path).dropna()
