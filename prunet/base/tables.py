"""Reading and writing pandas tables as CSV."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prunet.base.errors import InputError
from prunet.base.files import read_rows, reading, replacing

TEXT = (
    "scheme",
    "round",
    "criterion",
    "combination",
    "layer",
    "form",
    "device",
    "against",
    "verdict",
    "processor",
    "torch",
)  # columns of words


def read(path: Path, columns: Sequence[str] = (), rounds: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that `write` wrote; the column `round` is read as text.

    Args:
        path: the CSV file.
        columns: required; numeric except those of `TEXT`. Other columns are allowed.
        rounds: rounds that must have a row.

    Raises:
        InputError: the file is missing or truncated, or a column, a number or a round is missing.
    """
    with reading(path):
        complete = path.read_bytes().endswith(b"\n")
    if not complete or not read_rows(path, columns):
        raise InputError(f"{path} is truncated; run the stage that writes it again.")
    table = pd.read_csv(path, dtype={"round": str})
    for column in columns:
        if column not in TEXT and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}: column {column} is not numeric; run the stage that writes it again.")
    for number in rounds:
        if number not in set(table["round"]):
            raise InputError(f"{path} has no round {number}; run the stage that writes it again.")
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with six significant digits, completely or not at all."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
