"""Weights of few bits: whole numbers times a scale for each output, down to signs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.deployment import coding

Weight = NDArray[np.float32]
Mask = NDArray[np.bool_]

SPARE = (
    7  # low bits of a scale's mantissa that are zero, so that its products with numbers of 8 bits are exact
)


def quantise(weight: Weight, mask: Mask, bits: int) -> Weight:
    """Return a layer's weights rounded to a grid; quantising the result again changes nothing.

    Args:
        weight: (out, ...), finite where the mask is True.
        mask: (out, ...), True where a weight survives; the others become zero.
        bits: 1: the sign of a weight times the mean magnitude of its output's survivors, which has the least
            squared error (Rastegari et al. 2016, section 3.1); the sign of zero is positive. 2 to 8: the
            nearest of -m to m times a scale, m = 2**(bits - 1) - 1, where the largest magnitude of an output
            is m times its scale; a survivor may become zero.
    """
    numbers, scales = _grid(weight, mask, bits)
    return _values(numbers, scales, weight.shape)


def encode(to: Any, weight: Weight, mask: Mask, bits: int) -> None:
    """Append the survivors of a layer, quantised to a grid: scales, and the numbers with their entropy.

    Raises:
        ValueError: a surviving weight is not finite.
    """
    if not np.isfinite(weight[mask]).all():
        raise ValueError("only finite weights can be quantised")
    numbers, scales = _grid(weight, mask, bits)
    coding.encode_array(to, scales)
    least, step = _range(bits)
    chosen = (numbers[mask.reshape(numbers.shape)] - least) // step
    coding.encode_symbols(to, chosen, -2 * least // step + 1)


def decode(source: Any, mask: Mask, bits: int) -> Weight:
    """Decode what `encode` appended: the weights (out, ...), zero where pruned.

    Raises:
        ValueError: the words do not encode such weights.
    """
    scales: NDArray[np.float32] = coding.decode_array(source, (len(mask),), np.float32)
    if not np.isfinite(scales).all():
        raise ValueError("a scale that is not finite")
    least, step = _range(bits)
    chosen = coding.decode_symbols(source, int(np.count_nonzero(mask)), -2 * least // step + 1, np.int64)
    numbers = np.zeros(mask.shape, np.int64)
    numbers[mask] = chosen * step + least
    return _values(numbers, scales, mask.shape)


def _grid(weight: Weight, mask: Mask, bits: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return whole numbers (out, columns), zero where pruned, and scales (out,)."""
    rows = np.where(mask, weight, 0).reshape(len(weight), -1)
    sizes = np.abs(rows)
    if bits == 1:
        counts = np.count_nonzero(mask.reshape(rows.shape), 1)
        scales = (sizes.sum(1, dtype=np.float64) / np.maximum(counts, 1)).astype(np.float32)
        return np.where(rows < 0, -1, 1) * mask.reshape(rows.shape), scales
    scales = _short(sizes.max(1, initial=0) / np.float32(2 ** (bits - 1) - 1))
    return np.rint(rows / np.where(scales > 0, scales, 1)[:, None]).astype(np.int64), scales


def _short(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round scales to mantissas without their lowest bits."""
    half = np.uint32(1 << (SPARE - 1))
    return ((scales.view(np.uint32) + half) >> SPARE << SPARE).view(np.float32)


def _values(numbers: NDArray[np.int64], scales: NDArray[np.float32], shape: tuple[int, ...]) -> Weight:
    return (numbers.astype(np.float32) * scales[:, None].astype(np.float32)).reshape(shape)


def _range(bits: int) -> tuple[int, int]:
    """Return the least number of a survivor, and the step between two numbers."""
    return (-1, 2) if bits == 1 else (1 - 2 ** (bits - 1), 1)
