"""Weights of few bits: whole numbers times scales, down to signs."""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.deployment import coding

Mask = NDArray[np.bool_]


class Grid(NamedTuple):
    """A layer's weights as whole numbers times scales.

    Attributes:
        numbers: (out, columns), a row for each output; zero where pruned.
        scales: (out, blocks) float32.
        block: columns of a row that share a scale.
        bits: of a number.
    """

    numbers: NDArray[np.int8]
    scales: NDArray[np.float32]
    block: int
    bits: int

    def values(self) -> NDArray[np.float32]:
        """Return the weights (out, columns)."""
        return self.numbers * self.scales[:, np.arange(self.numbers.shape[1]) // self.block]


def quantise(
    weights: Weights, masks: Masks, bits: int, block: int | None = None, whole: Collection[str] = ()
) -> tuple[Weights, dict[str, int]]:
    """Quantise the surviving weights of one network's layers; all other tensors stay as they are.

    Args:
        weights: (*shape) of every tensor.
        masks: (*shape) of every pruned layer. Pruned weights are zero in the result.
        bits: 1: signs (`signs`); with a mask, weights are -scale, 0 or scale. 2 to 8: whole numbers
            (`nearest`).
        block: weights of an output that share a scale, in their order; None: all of them.
        whole: names of weights, such as `fc1.weight`, that are only masked.

    Returns:
        weights: the quantised ones, (*shape) float32.
        sizes: `bytes_packed`: numbers of `bits` bits for survivors, a bit for each weight of a layer that has
            pruned ones, float32 scales, and all other tensors. `bytes_coded`: the same, with the entropy of
            masks and numbers (`prunet.deployment.coding`).

    Raises:
        InputError: a weight to be quantised is not finite.
    """
    found: Weights = {}
    coded = coding.encoder()
    packed = 0
    for name, values in weights.items():
        if name not in masks:
            found[name] = values
            coding.encode_array(coded, values)
            packed += values.nbytes
            continue
        mask = masks[name]
        coding.encode_mask(coded, mask)
        packed += 0 if mask.all() else -(-mask.size // 8)
        if name in whole:
            found[name] = values * mask
            coding.encode_floats(coded, values[mask])
            packed += values[mask].nbytes
            continue
        if not np.isfinite(values[mask]).all():
            raise InputError(f"{name} has weights that are not finite: only finite weights can be quantised.")
        grid = (nearest if bits > 1 else signs)(values, mask, bits, block)
        found[name] = grid.values().reshape(values.shape)
        encode(coded, grid, mask)
        packed += -(-int(mask.sum()) * bits // 8) + grid.scales.nbytes
    return found, {"bytes_packed": packed, "bytes_coded": coded.get_compressed().nbytes}


def nearest(weight: NDArray[Any], mask: Mask, bits: int, block: int | None) -> Grid:
    """Return the nearest multiples of each block's scale, which is its largest magnitude / (2**(bits-1) - 1).

    Numbers go from -(2**(bits-1) - 1) to 2**(bits-1) - 1; a survivor may become zero.
    """
    rows, starts = _rows(weight * mask, block)
    scales = np.maximum.reduceat(np.abs(rows), starts, axis=1) / np.float32(2 ** (bits - 1) - 1)
    block = block or rows.shape[1]
    steps = np.where(scales > 0, scales, 1)[:, np.arange(rows.shape[1]) // block]
    return Grid(np.rint(rows / steps).astype(np.int8), scales.astype(np.float32), block, bits)


def signs(weight: NDArray[Any], mask: Mask, bits: int, block: int | None) -> Grid:
    """Return signs times the mean magnitude of each block's survivors (Rastegari et al. 2016, section 3.1).

    Among all scales and signs, these have the least squared error. The sign of zero is positive.
    """
    rows, starts = _rows(weight, block)
    alive, _ = _rows(mask, block)
    totals = np.add.reduceat(np.abs(rows) * alive, starts, axis=1, dtype=np.float64)
    counts = np.add.reduceat(alive, starts, axis=1, dtype=np.int64)
    numbers = np.where(rows < 0, -1, 1) * alive
    scales = (totals / np.maximum(counts, 1)).astype(np.float32)
    return Grid(numbers.astype(np.int8), scales, block or rows.shape[1], bits)


def encode(to: Any, grid: Grid, mask: Mask) -> None:
    """Append a grid to a range coder: scales, and the survivors' numbers with their entropy."""
    coding.encode_array(to, grid.scales)
    numbers = grid.numbers[mask.reshape(grid.numbers.shape)].astype(np.int64)
    if grid.bits == 1:
        coding.encode_symbols(to, (numbers + 1) // 2, 2)
    else:
        largest = 2 ** (grid.bits - 1) - 1
        coding.encode_symbols(to, numbers + largest, 2 * largest + 1)


def _rows(array: NDArray[Any], block: int | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return an array (out, columns) of a layer's (out, *shape), and the first column of each block."""
    rows = array.reshape(len(array), -1)
    return rows, np.arange(0, rows.shape[1], block or rows.shape[1])
