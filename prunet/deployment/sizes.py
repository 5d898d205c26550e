"""Size of a network on disk: dense, with zeros and gzip, and the information-theoretic bound."""

import gzip
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes

from prunet.cells.masks import Masks, Weights


def sizes(weights: Weights, masks: Masks) -> dict[str, int]:
    """Return the sizes of one network in bytes; the size of its ticket is `len(compact.dumps(...))`.

    Args:
        weights: every tensor, (*shape).
        masks: (*shape) of every pruned layer.

    Returns:
        `bytes_dense`: all tensors, as a safetensors file. `bytes_gzip`: that file with zeros for the pruned
        weights, after gzip -9. `bytes_bound`: the smallest lossless file if the positions of the survivors
        are independent and all values are equally likely.
    """
    pruned = {
        name: np.where(masks[name], values, 0) if name in masks else values
        for name, values in weights.items()
    }
    return {
        "bytes_dense": len(safetensors_bytes(weights)),
        "bytes_gzip": len(gzip.compress(safetensors_bytes(pruned), 9, mtime=0)),
        "bytes_bound": math.ceil(sum(_bits(values, masks.get(name)) for name, values in weights.items()) / 8),
    }


def _bits(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> float:
    """Return the bits of a tensor: the entropy of its mask (Shannon 1948) plus the survivors' values."""
    if mask is None:
        return 8 * values.nbytes
    survivors = int(np.count_nonzero(mask))
    shares = survivors / mask.size, 1 - survivors / mask.size
    entropy = -sum(share * math.log2(share) for share in shares if share)
    return mask.size * entropy + 8 * values.itemsize * survivors
